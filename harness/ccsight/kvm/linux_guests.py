"""What Linux guests are known to make of their caches where device tree and CLIDR_EL1 do not fit: rows.

A row is asked about one vCPU of one guest. A device tree that lists what CLIDR_EL1 lists is never excused,
and neither is a CLIDR_EL1 that a VMM wrote and a vCPU lost.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ccsight.arm64.caches import listed
from ccsight.evidence.linux import SYSFS, LinuxCpu, LinuxGuest
from ccsight.kvm.behaviour import NATIVE, NORMALISED


@dataclass(frozen=True)
class KnownGuest:
    """A known deviation from CR-016: under which behaviour, what must hold of the guest's CPU, and why."""

    behaviour: str
    holds: Callable[[LinuxGuest, LinuxCpu], bool]
    why: str


def leaves_of(clidr: int) -> tuple[str, ...]:
    """Return the caches that Linux counts in CLIDR_EL1, data before instructions, as it numbers them."""
    return tuple(sorted((cache.name for cache in listed(clidr)), key=_place))


def _place(name: str) -> tuple[str, str]:
    return name[:2], name[2:]


def described(guest: LinuxGuest) -> tuple[str, ...]:
    """Return the caches that the device tree lists, in the same order."""
    return tuple(sorted((leaf.name for leaf in guest.described), key=_place))


def fits(guest: LinuxGuest, cpu: LinuxCpu) -> bool:
    """Tell whether a guest's CPU shows the caches that CLIDR_EL1 lists.

    Further out it may show what the device tree lists beyond them: Linux takes those for external caches.
    """
    wanted, shown = leaves_of(guest.clidr or 0), tuple(leaf.name for leaf in cpu.leaves or ())
    depth = max((_place(name)[0] for name in wanted), default="")
    within = [name for name in shown if _place(name)[0] <= depth]
    beyond = set(shown) - set(within)
    return sorted(within) == sorted(wanted) and beyond <= set(described(guest))


def _of_another_source(guest: LinuxGuest) -> bool:
    """The device tree is of the host's sysfs, and lists other caches than CLIDR_EL1."""
    clidr = guest.clidr
    return guest.device_tree == SYSFS and clidr is not None and described(guest) != leaves_of(clidr)


def _lost_all(guest: LinuxGuest, cpu: LinuxCpu) -> bool:
    return _of_another_source(guest) and not cpu.leaves


def _has_those_of_the_tree(guest: LinuxGuest, cpu: LinuxCpu) -> bool:
    """It counts the device tree's leaves; their types are CLIDR_EL1's, or unified behind its last one."""
    shown = cpu.leaves or ()
    return _of_another_source(guest) and 0 < len(shown) <= len(guest.described)


KNOWN = (
    KnownGuest(
        NORMALISED.name,
        _lost_all,
        "the VMM made the device tree of the host's sysfs, and KVM fabricates CLIDR_EL1 (Linux 7af0c2534f4c, "
        "v6.3): a guest whose kernel counts more caches in the device tree than it can place shows none "
        "(cache_setup_of_node(), drivers/base/cacheinfo.c; Firecracker PR 5780)",
    ),
    KnownGuest(
        NORMALISED.name,
        _has_those_of_the_tree,
        "the VMM made the device tree of the host's sysfs, and KVM fabricates CLIDR_EL1 (Linux 7af0c2534f4c, "
        "v6.3): the guest counts the caches of the one and asks the other for their types",
    ),
    KnownGuest(
        NATIVE.name,
        _has_those_of_the_tree,
        "the host's own firmware describes fewer caches than its CPUs' CLIDR_EL1 lists; a VMM that copies "
        "the host's sysfs hands that on, and the guest shows no more",
    ),
)


def why_known(behaviour: str, guest: LinuxGuest, cpu: LinuxCpu) -> str:
    """Return why a guest's CPU is known to show other caches than CLIDR_EL1 lists, or "" when it is not."""
    return next((row.why for row in KNOWN if row.behaviour == behaviour and row.holds(guest, cpu)), "")
