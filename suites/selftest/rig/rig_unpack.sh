#!/bin/sh
# rig_unpack.sh ROOT DISK PACKAGE...
# Unpack packages as `dpkg --unpack` would, but for the scripts, which are for arm64, and make a disk of that.
# Under fakeroot, so that the files' owners are right: then nothing here needs to be root.
set -eu
umask 022
root=$1 disk=$2
shift 2

info=$root/var/lib/dpkg/info
mkdir -p "$info" "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/triggers"
for package; do
	control=$root/control
	dpkg-deb --control "$package" "$control"
	name=$(sed -n 's/^Package: //p' "$control/control")
	# What several architectures may share has its architecture in the names of its files.
	! grep -qx 'Multi-Arch: same' "$control/control" || name=$name:arm64
	# Of a kernel, what no virtual machine can have; of all, what nobody reads here.
	dpkg-deb --fsys-tarfile "$package" | tar --extract --verbose --directory "$root" --keep-directory-symlink \
		--exclude './usr/share/doc/*' --exclude './usr/share/man/*' --exclude './usr/share/locale/*' \
		--exclude './usr/share/info/*' --exclude './usr/share/lintian/*' --exclude './usr/share/bug/*' \
		--exclude '*/kernel/sound/*' --exclude '*/kernel/net/wireless/*' --exclude '*/kernel/net/bluetooth/*' \
		--exclude '*/kernel/drivers/gpu/*' --exclude '*/kernel/drivers/media/*' \
		--exclude '*/kernel/drivers/infiniband/*' --exclude '*/kernel/drivers/iio/*' \
		--exclude '*/kernel/drivers/net/wireless/*' --exclude '*/kernel/drivers/net/ethernet/*' \
		--exclude '*/kernel/drivers/usb/*' --exclude '*/kernel/drivers/staging/*' \
		--exclude '*/kernel/drivers/scsi/*' --exclude '*/kernel/drivers/mmc/*' --exclude '*/kernel/drivers/mtd/*' \
		--exclude '*/kernel/drivers/hid/*' --exclude '*/kernel/drivers/input/*' --exclude '*/kernel/drivers/hwmon/*' \
		--exclude '*/kernel/drivers/clk/*' --exclude '*/kernel/drivers/soc/*' --exclude '*/kernel/drivers/phy/*' |
		sed 's,^\.,,; s,\(.\)/$,\1,; s,^/$,/.,' >"$info/$name.list"
	{
		sed -n '1,/^Package:/p' "$control/control"
		echo 'Status: install ok unpacked'
		sed '1,/^Package:/d' "$control/control"
		echo
	} >>"$root/var/lib/dpkg/status"
	rm "$control/control"
	for file in "$control"/*; do
		[ ! -e "$file" ] || mv "$file" "$info/$name.${file##*/}"
	done
	rmdir "$control"
done
# It makes the first /etc/passwd, and can be told where.
DPKG_ROOT=$root sh "$info/base-passwd.preinst" install

cp -a "$root.files/." "$root/"
chmod 600 "$root"/etc/ssh/*_key
chmod 700 "$root/root/.ssh"
mv "$root/boot" "$root.boot"
mkdir "$root/boot"

truncate -s 4G "$disk"
# U-Boot looks for its extlinux.conf on the ESP and on what is marked to be bootable.
sfdisk --quiet "$disk" <<-TABLE
	label: gpt
	start=1MiB, size=256MiB, type=uefi, name=esp
	start=257MiB, size=512MiB, type=linux, name=boot, attrs=LegacyBIOSBootable
	start=769MiB, type=linux, name=root
TABLE
# Features that GRUB does not know would be no test of anything.
filesystem() {
	mke2fs -q -F -t ext4 -O ^orphan_file,^metadata_csum_seed -E "offset=$((${3%M} << 20)),lazy_itable_init=1" \
		-L "$1" -U "$4" -d "$2" "$disk" "$5"
}
filesystem boot "$root.boot" 257M 0000b007-0000-4000-8000-000000000000 512M
filesystem root "$root" 769M 00000007-0000-4000-8000-000000000000 3326M
