#!/bin/sh
# The first thing that the initramfs of a boot of ccsight's does. Such a boot is not the machine's own: unless
# somebody connects and ends this program, the machine is rebooted, whatever else there is or is not by then.
# Its words are on the command line of the kernel: ccsight.patience=SECONDS; ccsight.trial=panic is for
# proving that a machine comes back.

patience=
for word in $(cat /proc/cmdline); do
	case $word in
	ccsight.trial=panic) echo c >/proc/sysrq-trigger ;;
	ccsight.patience=*) patience=${word#*=} ;;
	esac
done
[ "$patience" ] || exit 0

# The file is held open: nothing of this file system is left to be opened later.
(
	exec 3>/proc/sysrq-trigger </dev/null >/dev/null 2>&1
	sleep "$patience"
	echo s >&3
	echo u >&3
	echo b >&3
) &
