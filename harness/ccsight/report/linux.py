"""What a Linux guest's programs find of its caches, vCPU by vCPU, for each way to tell it of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from ccsight.arm64.caches import human_size
from ccsight.evidence.linux import CLIDR, OFF, OVERRIDE, SYSFS, Leaf, LinuxCpu, LinuxGuest
from ccsight.evidence.model import Capture
from ccsight.kvm.linux_guests import described, fits, leaves_of

#: What a VMM does, for each word in the evidence.
_WAYS = {
    CLIDR: "its device tree describes the caches that the vCPU's own register lists",
    SYSFS: "its device tree copies the host's caches, as small VMMs do",
    OVERRIDE: "the same, and the VMM writes the vCPU's register to match, as Firecracker does",
}


@dataclass(frozen=True)
class LinuxRow:
    """One line of the table: vCPUs that show the same, what they show, and whether it is what they should."""

    way: str
    vcpus: str
    shows: str
    told: str
    fits: bool


def linux_rows(capture: Capture) -> Iterator[LinuxRow]:
    """Yield a row for each Linux guest of a capture, and for its vCPUs if they differ."""
    for guest in capture.linux:
        groups: dict[str, list[int]] = {}
        for cpu in guest.cpus:
            groups.setdefault(_shown(cpu, guest), []).append(cpu.index)
        if guest.end != OFF:
            groups = {_ended(guest): list(range(guest.vcpus))}
        for shows, vcpus in groups.items():
            cpus = [cpu for cpu in guest.cpus if cpu.index in vcpus]
            yield LinuxRow(
                way=_WAYS.get(guest.device_tree, guest.device_tree),
                vcpus=f"vCPU {', '.join(map(str, vcpus))}",
                shows=shows,
                told=f"described {_names(described(guest))}; register {_names(leaves_of(guest.clidr or 0))}",
                fits=bool(cpus) and all(fits(guest, cpu) for cpu in cpus),
            )


def _ended(guest: LinuxGuest) -> str:
    if guest.refused:
        return f"no guest: KVM refuses the register's value ({guest.refused})"
    return f"the guest did not come up ({guest.end})"


def _shown(cpu: LinuxCpu, guest: LinuxGuest) -> str:
    if not cpu.leaves:
        return "no caches at all: /sys/devices/system/cpu/cpu*/cache is missing"
    caches = ", ".join(map(_leaf, cpu.leaves))
    domains = ", ".join(domain.name for domain in cpu.domains) or "none"
    return caches + (f"; scheduler domains: {domains}" if guest.domains_told else "")


def _leaf(leaf: Leaf) -> str:
    return f"{leaf.name} {human_size(leaf.size)}" if leaf.size else f"{leaf.name} of unknown size"


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
