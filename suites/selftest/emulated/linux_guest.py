"""A Linux guest for QEMU: a kernel's Image, and a busybox that tells its caches once a second."""

from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.kernels.model import Kernel
from ccsight.machines import cpio
from ccsight.toolbox.userland import userland

#: Where its files lie on the hosts.
_PLACE = "opt/linux-guest"
_INIT = b"""#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
n=0
while :; do
	echo "@begin linux"
	echo "up $(cut -d. -f1 /proc/uptime)"
	for leaf in /sys/devices/system/cpu/cpu*/cache/index*; do
		echo "leaf ${leaf#/sys/devices/system/cpu/} $(cat $leaf/level $leaf/type | xargs)"
	done
	n=$((n + 1))
	echo "@end $n"
	sleep 1
done
"""


def layer(kernel: Kernel, file: Path, deadline: Deadline) -> Path:
    """Write the layer of a host's initramfs that has the guest."""
    busybox = (userland(deadline, print) / "bin/busybox").read_bytes()
    initrd = [
        *(cpio.folder(name) for name in ("bin", "dev", "proc", "sys")),
        cpio.node("dev/console", 5, 1),
        cpio.file("bin/busybox", busybox, 0o755),
        cpio.file("init", _INIT, 0o755),
    ]
    entries = [
        cpio.folder("opt"),
        cpio.folder(_PLACE),
        cpio.file(f"{_PLACE}/Image", kernel.image.read_bytes()),
        cpio.file(f"{_PLACE}/initrd", cpio.archive(initrd)),
    ]
    file.write_bytes(cpio.archive(entries))
    return file


def options(_probe: object) -> tuple[str, ...]:
    """Return the options of its machine."""
    return (
        *("-nodefaults", "-no-user-config", "-display", "none", "-accel", "kvm"),
        *("-M", "virt,gic-version=3", "-cpu", "host", "-smp", "2", "-m", "256"),
        *("-kernel", f"/{_PLACE}/Image", "-initrd", f"/{_PLACE}/initrd"),
        *("-append", "console=ttyAMA0 quiet cryptomgr.notests panic=-1"),
    )


def leaves(said: str) -> dict[str, str]:
    """Return level and type of each leaf of a round: ``cpu0/cache/index0`` -> ``1 Data``."""
    lines = [line.split(" ", 2) for line in said.splitlines() if line.startswith("leaf ")]
    return {leaf: what for _, leaf, what in lines}


def seconds(said: str) -> int:
    """Return how long the guest says that it is up."""
    return next(int(line.split()[1]) for line in said.splitlines() if line.startswith("up "))
