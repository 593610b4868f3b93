"""What a Linux guest's programs find of its caches, vCPU by vCPU, for each way to tell it of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from ccsight.arm64.caches import human_size
from ccsight.evidence.linux import CLIDR, LOWERED, OFF, OVERRIDE, SYSFS, Domain, Leaf, LinuxCpu, LinuxGuest
from ccsight.evidence.model import Capture
from ccsight.kvm.linux_guests import described, fits, promised
from ccsight.kvm.linux_leaves import leaves_of

#: What a VMM does, for each word in the evidence.
_WAYS = {
    CLIDR: "its device tree describes the caches that the vCPU's own register lists",
    SYSFS: "its device tree copies the host's caches, as small VMMs do",
    OVERRIDE: "the same, and the VMM writes the vCPU's register to match, as Firecracker does",
    LOWERED: "as the register lists them, and the VMM clears CTR_EL0's IDC and DIC, as for an older host",
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


def lscpu_texts(capture: Capture) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield, for each Linux guest in which ``lscpu -C`` ran, what the VMM did and the lines of its table."""
    for guest in capture.linux:
        if guest.lscpu:
            yield _WAYS.get(guest.device_tree, guest.device_tree), tuple(guest.lscpu.splitlines())


def _ended(guest: LinuxGuest) -> str:
    if guest.refused:
        return f"no guest: KVM refuses the register's value ({guest.refused})"
    return f"the guest did not come up ({guest.end})"


def _shown(cpu: LinuxCpu, guest: LinuxGuest) -> str:
    caches = ", ".join(map(_leaf, cpu.leaves or ()))
    said = [caches or "no caches at all: /sys/devices/system/cpu/cpu*/cache is missing"]
    if guest.domains_told:
        said.append(f"scheduler domains: {', '.join(map(_domain, cpu.domains)) or 'none'}")
    if guest.ctr is not None:
        said.append(", ".join(f"acts upon {name} = {value}" for name, value in promised(guest).items()))
    return "; ".join(said)


def _domain(domain: Domain) -> str:
    return f"{domain.name} (one last cache)" if domain.shares_cache else domain.name


def _leaf(leaf: Leaf) -> str:
    return f"{leaf.name} {human_size(leaf.size)}" if leaf.size else f"{leaf.name} of unknown size"


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
