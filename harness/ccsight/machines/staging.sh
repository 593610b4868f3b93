# Lays a kernel out on a machine, and takes it away again. What is ours lies in /boot/ccsight and, where the
# machine has no modules of that release, in /lib/modules/RELEASE with a file in it that says so.
# $1: kernel | own | modules | clean
# kernel RELEASE FOLDER MODULES: what was sent to FOLDER: Image, head, and modules.tar; MODULES is "sent", "there"
# (the machine has them, and an initramfs with them) or "none"
# own RELEASE FOLDER: the kernel that the machine runs; FOLDER has the head only
# modules RELEASE: the sum of what the machine has for that release, if it has something
# clean
# The head is what our boots have before their initramfs: see way_back.sh. Nothing can follow one that was
# compressed with lz4, which has no end.

place=/boot/ccsight

clean() {
	for file in /lib/modules/*/.ccsight; do
		if [ -e "$file" ]; then rm -rf "${file%/.ccsight}"; fi
	done
	rm -rf "$place" "$place"-* /lib/modules/.ccsight-draft
	sync
}

modules() {
	draft=/lib/modules/.ccsight-draft
	mkdir -p "$draft"
	[ "$2" = none ] || tar -xf "$2" -C "$draft" --no-same-owner
	: >"$draft/.ccsight"
	[ ! -e "/lib/modules/$1" ] || {
		echo "/lib/modules/$1 is there, and has other modules: remove that package, or take another kernel" >&2
		return 1
	}
	mv "$draft" "/lib/modules/$1"
	depmod "$1"
}

initramfs() {
	cat "$1" "$2" >"$place/initrd.img"
	sync
}

command=$1
[ "$command" = modules ] || trap '[ $? = 0 ] || clean' EXIT
case $command in
kernel)
	mkdir -p "$place"
	mv "$3/Image" "$place/Image"
	case $4 in
	there) initramfs "$3/head" "/boot/initrd.img-$2" ;;
	*)
		[ "$4" = none ] || set -- "$1" "$2" "$3" "$3/modules.tar"
		modules "$2" "$4"
		mkinitramfs -o "$3/initrd.img" "$2"
		initramfs "$3/head" "$3/initrd.img"
		;;
	esac
	;;
own)
	mkdir -p "$place"
	cp "/boot/vmlinuz-$2" "$place/Image"
	initramfs "$3/head" "/boot/initrd.img-$2"
	;;
modules)
	[ ! -e "/boot/initrd.img-$2" ] || [ ! -e "/lib/modules/$2/modules.order" ] ||
		sha256sum <"/lib/modules/$2/modules.order"
	;;
clean) clean ;;
esac
