# A build on this machine, in a folder that lasts as long as our controller is there.
# $1: tools | keep | unpack | start | look | made
# tools: what builds kernels here, and its version
# keep FOLDER: makes it, says how many jobs are worth it, and removes it at the end of the input, make included
# unpack FOLDER FILE INTO: of FOLDER; times become those of this clock, by which make goes
# start FOLDER WORD...: a program in FOLDER/src
# look FOLDER FROM: its status, or "runs"; then what its log has from that byte on
# made FOLDER: what it has made since it was started, as tar

keep() {
	umask 077
	for left in "${1%-*}"-*; do
		if [ -O "$left" ] && [ ! -L "$left" ]; then flock -n "$left" rm -rf "$left"; fi
	done
	mkdir "$1" && mkdir "$1/src" || exit
	exec 9<"$1"
	flock -n 9 || exit
	echo "jobs $(nproc)"
	trap '' PIPE HUP
	exec >/dev/null 2>&1
	while [ -n "$(timeout 60 head -c 1 9<&-)" ]; do :; done
	[ ! -e "$1/group" ] || kill -s KILL -- "-$(cat "$1/group")"
	rm -rf "$1" || rm -rf "$1"
}

start() {
	cd "$1/src" || exit
	rm -f "$1/status"
	: >"$1/log"
	touch "$1/mark"
	setsid sh -c 'echo $$ >"$0/group"; "$@" >"$0/log" 2>&1; echo $? >"$0/ended"; mv "$0/ended" "$0/status"' \
		"$@" </dev/null >/dev/null 2>&1 &
}

command=$1
shift
case $command in
tools)
	[ "$(uname -m)" != aarch64 ] || echo 'arm yes'
	for program in gcc as ld objcopy make flex bison bc perl; do
		printf '%s %s\n' $program "$(LC_ALL=C $program --version 2>/dev/null | grep -m 1 '[0-9]\.[0-9]')"
	done
	;;
keep) keep "$1" 2>&1 ;;
unpack) tar -xmf "$1/$2" -C "$3" --no-same-owner && rm "$1/$2" ;;
start) start "$@" ;;
look)
	if [ -e "$1/status" ]; then cat "$1/status"; else echo runs; fi
	tail -c "+$2" "$1/log" | head -c 1000000
	;;
made)
	cd "$1" || exit
	find src/.config src/vmlinux src/arch/arm64/boot/Image guests/module installed \
		-type f -newer mark \( -path 'src/*' -o -path 'installed/*' -o -name '*.ko' \) 2>/dev/null |
		tar -cf - -T -
	;;
esac
