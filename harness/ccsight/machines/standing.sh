# What runs on this machine, a word and its value a line. It changes nothing but takes away what an older
# run of ours left, and tries whether a file under the name $1 may run.
find /tmp -maxdepth 1 \( -name 'ccsight-[0-9a-f]*' -o -name '.ccsight-[0-9a-f]*' \) \
	-user "$(id -u)" -mtime +0 -exec rm -rf {} + 2>/dev/null
say() {
	printf '%s %s\n' "$1" "$(printf %s "$2" | tr '\n' ' ')"
}
say user "$(id -un)"
say uid "$(id -u)"
say machine "$(uname -m)"
say release "$(uname -r)"
say banner "$(head -c 2000 /proc/version)"
say notes "$(head -c 8000 /sys/kernel/notes | od -An -v -tx1 | tr -d ' \n')"
say boot-id "$(head -c 100 /proc/sys/kernel/random/boot_id)"
say cpus "$(getconf _NPROCESSORS_ONLN 2>/dev/null || nproc)"
if [ ! -e /dev/kvm ]; then
	say kvm absent
elif (exec 3<>/dev/kvm) 2>/dev/null; then
	say kvm usable
else
	say kvm "refused: $(stat -c '%A %U %G' /dev/kvm 2>/dev/null)"
fi
(umask 077 && printf '#!/bin/sh\n' >"$1" && chmod 700 "$1" && "$1") 2>/dev/null && say programs run
rm -f "$1"
echo end
