# What a machine is and has, a word and its value a line; nothing is changed. Its word is "sudo" where root's
# part may go through sudo, which is never given a password.

PATH=$PATH:/usr/sbin:/sbin LC_ALL=C
export PATH LC_ALL
who=nobody
if [ "$(id -u)" = 0 ]; then
	who=root
elif sudo -n true 2>/dev/null; then
	who=sudo
fi

# Runs a command as root if that may be, else as who we are.
root() {
	if [ "$who$1" = sudosudo ]; then
		shift
		sudo -n "$@" 2>/dev/null
	else
		shift
		"$@" 2>/dev/null
	fi
}

say() {
	printf '%s %s\n' "$1" "$(printf %s "$2" | tr -cd ' -~' | head -c 300)"
}

there() {
	root "$may" test -e "$2" && say "$1" there
}

# A file system in memory without a bound has all of that; df does not show it.
free() {
	kib=$(df -Pk "$2" 2>/dev/null | sed -n '2s/^[^ ]* *[^ ]* *[^ ]* *\([0-9]*\) .*/\1/p')
	case $kib$(stat -f -c %T "$2" 2>/dev/null) in
	ramfs | tmpfs) kib=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) ;;
	esac
	say "$1" "$kib"
}

may=${1:-none}
say user "$(id -un)"
say root $who
say machine "$(uname -m)"
say release "$(uname -r)"
if [ ! -e /dev/kvm ]; then
	say kvm absent
elif (exec 3<>/dev/kvm) 2>/dev/null || { [ $who$may = sudosudo ] && root sudo test -w /dev/kvm; }; then
	say kvm usable
else
	say kvm refused
fi
free boot /boot
free tmp /tmp

say lockdown "$(cat /sys/kernel/security/lockdown 2>/dev/null)"
say secure-boot "$(od -An -tu1 -j4 -N1 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c 2>/dev/null | tr -d ' ')"
there grub /boot/grub/grub.cfg
there grub /boot/grub2/grub.cfg
there extlinux /boot/extlinux/extlinux.conf
[ -n "$(ls /sys/firmware/efi/efivars 2>/dev/null)" ] && say efi there
[ -e /sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f ] && say loader "$(tr -d '\000' \
	</sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f)"
say kexec "$(cat /proc/sys/kernel/kexec_load_disabled 2>/dev/null)"
say kexec-program "$(command -v kexec)"
say command-line "$(cat /proc/cmdline)"
say watchdog "$(cat /sys/class/watchdog/watchdog0/identity 2>/dev/null)"
there watchdog-file /dev/watchdog
echo end
