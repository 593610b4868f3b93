# What a machine is and has, a word and its value a line; nothing is changed. Run it as root, through sudo or
# not; whoever is not root is told what everybody may see.

PATH=$PATH:/usr/sbin:/sbin LC_ALL=C
export PATH LC_ALL
who=nobody
if [ "$(id -u)" = 0 ]; then
	who=root
	[ -z "$SUDO_USER" ] || who=sudo
elif sudo -n sh -c true 2>/dev/null; then
	who=may
fi

say() {
	printf '%s %s\n' "$1" "$(printf %s "$2" | tr '\n' ' ' | tr -cd ' -~' | head -c "${3:-300}")"
}

there() {
	[ -e "$2" ] && say "$1" there
}

# A file system in memory without a bound has all of that; df does not show it.
free() {
	kib=$(df -Pk "$2" 2>/dev/null | sed -n '2s/^[^ ]* *[^ ]* *[^ ]* *\([0-9]*\) .*/\1/p')
	case $kib$(stat -f -c %T "$2" 2>/dev/null) in
	ramfs | tmpfs) kib=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) ;;
	esac
	say "$1" "$kib"
}

say user "${SUDO_USER:-$(id -un)}"
say root $who
say machine "$(uname -m)"
say release "$(uname -r)"
if [ ! -e /dev/kvm ]; then
	say kvm absent
elif (exec 3<>/dev/kvm) 2>/dev/null; then
	say kvm usable
else
	say kvm refused
fi
free boot /boot
free tmp /tmp
free modules /lib/modules
say boot-id "$(cat /proc/sys/kernel/random/boot_id)"
say cpus "$(getconf _NPROCESSORS_ONLN 2>/dev/null || nproc)"

say lockdown "$(cat /sys/kernel/security/lockdown 2>/dev/null)"
say secure-boot "$(od -An -tu1 -j4 -N1 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c 2>/dev/null | tr -d ' ')"
grub=/boot/grub
if [ -r $grub/grub.cfg ]; then
	say grub there
	grep -q next_entry= $grub/grub.cfg && say grub-one-shot there
	grep -q 'custom\.cfg' $grub/grub.cfg && say grub-custom there
	say grub-fs "$(grub-probe --target=fs $grub 2>/dev/null)"
	say grub-beneath "$(grub-probe --target=abstraction $grub 2>/dev/null)"
fi
[ -n "$(ls /sys/firmware/efi/efivars 2>/dev/null)" ] && say efi there
[ -e /sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f ] && say loader "$(tr -d '\000' \
	</sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f)"
there extlinux /boot/extlinux/extlinux.conf
grep -qsiE '^[[:space:]]*(fdt|devicetree-?)overlays?[[:space:]]' /boot/extlinux/extlinux.conf &&
	say extlinux-overlays there
device=$(readlink -f "/sys/dev/block/$(findmnt -nro MAJ:MIN -T /boot 2>/dev/null)")
say boot-place "${device##*/} $(findmnt -nro FSTYPE,FSROOT -T /boot 2>/dev/null)"
# U-Boot's environment: who cannot read it is told so on stderr, and may be shown a default one all the same.
# What it lies in may be written, or not; fw_setenv(8) lifts an eMMC's protection by itself.
fw=/etc/fw_env.config
if command -v fw_printenv >/dev/null && command -v fw_setenv >/dev/null; then
	say fw-setenv there
	there fw-config $fw
fi
if [ -e /boot/extlinux/extlinux.conf ] && [ -e $fw ] && command -v fw_printenv >/dev/null; then
	read_env() { timeout 10 fw_printenv "$@"; }
	say fw-error "$(read_env 2>&1 >/dev/null || echo "status $?")"
	read_env -n bootcmd 2>/dev/null | grep -q . && say fw-bootcmd there
	read_env 2>/dev/null | grep -qE '^(bootlimit=0*[1-9]|upgrade_available=[^0])' && say fw-counts there
	say fw-closed "$(sed -n '/^\/dev\/mmcblk[0-9]*boot/d; s,^\(/[^[:space:]]*\)[[:space:]].*,\1,p' $fw |
		while read -r place; do
			[ -e "$place" ] || continue
			[ "$(blockdev --getro "$place" 2>/dev/null)" != 1 ] && (exec 3<>"$place") 2>/dev/null || echo "$place"
		done)"
fi
say kexec "$(cat /proc/sys/kernel/kexec_load_disabled 2>/dev/null)"
say kexec-program "$(command -v kexec)"
for tool in grub-reboot efibootmgr bootctl mkinitramfs; do
	command -v $tool >/dev/null && say $tool there
done
[ -d /run/systemd/system ] && say systemd there
for esp in /boot/efi /efi /boot; do
	findmnt -n -t vfat $esp >/dev/null 2>&1 && say esp $esp && break
done
say command-line "$(cat /proc/cmdline)" 2000
say watchdog "$(cat /sys/class/watchdog/watchdog0/identity 2>/dev/null)"
there watchdog-file /dev/watchdog
say admitted "$(cat /var/lib/ccsight/admitted 2>/dev/null)" 600

# Whom a reboot would hit: who has a terminal there, detached ones too, and the processes that have a VM.
say users "$({ who; ps -eo user=,tty= | grep 'pts/'; } 2>/dev/null | sed 's/[[:space:]].*//' | sort -u)"
say vms "$(find /proc -maxdepth 3 -path '/proc/[0-9]*/fd/*' -lname anon_inode:kvm-vm 2>/dev/null |
	cut -d/ -f3 | sort -un | while read -r id; do echo "$(cat "/proc/$id/comm"):$id"; done 2>/dev/null)"
echo end
