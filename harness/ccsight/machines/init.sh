#!/bin/sh
# The first process of an emulated host. It tells on the second serial port how far it came, one word
# a line: "ready" once sshd listens, "failed WHY", and "beat" every other second as long as it lives.
# Every program that starts costs 10 ms of an emulated boot, so few do, and on two CPUs at once.
# What sshd may be sent before it answers (-W) is more than a probe: on a slow link, each answer is waited for.

PATH=/bin
tell=/dev/ttyAMA1

mount -t devtmpfs dev /dev
mount -t proc proc /proc

{
	mount -t sysfs sys /sys
	dropbear -E -s -j -k -W 1048576 -r /etc/dropbear/hostkey || echo "failed to start sshd" >$tell
} &
sshd=$!

while read -r module; do
	insmod "/modules/$module" || echo "failed to load $module" >$tell
done </modules/order
ifconfig eth0 10.0.2.15 up || echo "failed to find a network interface" >$tell
wait $sshd
echo ready >$tell

ifconfig lo 127.0.0.1 up
mkdir -p /dev/pts && mount -t devpts devpts /dev/pts

mkfifo /run/never
exec 3<>/run/never
while :; do
	read -r -t 2 _ <&3	# a sleep without a process
	echo beat >$tell
done
