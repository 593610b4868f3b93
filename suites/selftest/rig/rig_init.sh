#!/bin/busybox sh
# The first process of the machine that turns the unpacked packages into a system; see rig_first_boot.sh.
PATH=/bin
for applet in ln mkdir mount umount chroot insmod poweroff sync sleep cat; do
	/bin/busybox ln -s busybox /bin/$applet
done
mkdir -p /dev /proc /sys /disk
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
while read -r module; do
	insmod "/modules/$module"
done </modules/order
while [ ! -e /dev/vda3 ]; do sleep 0.1; done
# What udev would have made, so that the root file system is named by its UUID.
mkdir -p /dev/disk/by-uuid
ln -s ../../vda3 /dev/disk/by-uuid/00000007-0000-4000-8000-000000000000

mount -t ext4 -o noatime /dev/vda3 /disk
mount -t ext4 -o noatime /dev/vda2 /disk/boot
for each in dev proc sys; do
	mount -o bind /$each /disk/$each
done
mount -t efivarfs efivarfs /disk/sys/firmware/efi/efivars
mount -t tmpfs run /disk/run
mount -t tmpfs tmp /disk/tmp
chroot /disk /bin/sh /rig_first_boot.sh && echo "rig: made"
umount /disk/boot
umount /disk/run /disk/tmp
sync
mount -o remount,ro /disk
poweroff -f
