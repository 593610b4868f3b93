#!/bin/sh
# Inside the machine, once: what the packages' own scripts and the system's own programs do at an installation.
set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true
said() { echo "rig: $(cut -d' ' -f1 /proc/uptime) $*"; }

said configure
# The initramfs is made once, below, and not by each package that wants one.
INITRD=No dpkg --configure -a --force-unsafe-io --force-confold
! dpkg --audit | grep .

said users
useradd --create-home --shell /bin/bash ccsight
cp -r /root/.ssh /home/ccsight/
chown -R ccsight:ccsight /home/ccsight/.ssh
systemctl enable --quiet systemd-networkd.service ssh.service
systemctl mask --quiet systemd-networkd-wait-online.service e2scrub_all.timer e2scrub_reap.service \
	dpkg-db-backup.timer fstrim.timer getty@tty1.service

said esp
mkfs.vfat -F 32 -n ESP -i 0E5900E5 /dev/vda1 >/dev/null
mkdir -p /boot/efi
mount -t vfat /dev/vda1 /boot/efi

said initramfs
update-initramfs -c -k all

said grub
grub-install --target=arm64-efi --efi-directory=/boot/efi --no-nvram --removable
grub-install --target=arm64-efi --efi-directory=/boot/efi --bootloader-id=debian
update-grub

said systemd-boot
esp=/boot/efi
mkdir -p $esp/EFI/systemd $esp/loader/entries $esp/debian
cp /usr/lib/systemd/boot/efi/systemd-bootaa64.efi $esp/EFI/systemd/
cp /boot/vmlinuz-* $esp/debian/linux
cp /boot/initrd.img-* $esp/debian/initrd
cat >$esp/loader/loader.conf <<CONF
default debian.conf
timeout 0
CONF
cat >$esp/loader/entries/debian.conf <<ENTRY
title Debian
linux /debian/linux
initrd /debian/initrd
options root=UUID=$(findmnt -no UUID /) ro $(. /etc/default/grub && echo "$GRUB_CMDLINE_LINUX")
ENTRY
efibootmgr -q -c -d /dev/vda -p 1 -L systemd-boot -l '\EFI\systemd\systemd-bootaa64.efi'
# GRUB is what it boots by; the other comes after it.
debian=$(efibootmgr | sed -n 's/^Boot\([0-9A-F]*\)\** debian.*/\1/p')
other=$(efibootmgr | sed -n 's/^Boot\([0-9A-F]*\)\** systemd-boot.*/\1/p')
efibootmgr -q -o "$debian,$other"
efibootmgr

said extlinux
mkdir /boot/extlinux
cat >/boot/extlinux/extlinux.conf <<CONF
default debian
timeout 1

label debian
	linux /$(cd /boot && echo vmlinuz-*)
	initrd /$(cd /boot && echo initrd.img-*)
	append root=UUID=$(findmnt -no UUID /) ro $(. /etc/default/grub && echo "$GRUB_CMDLINE_LINUX")
CONF

rm /rig_first_boot.sh
umount /boot/efi
df -k / /boot | sed 's/^/rig: /'
said done
