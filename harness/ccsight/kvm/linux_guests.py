"""What Linux guests are known to make of their caches where device tree and CLIDR_EL1 do not fit: rows.

A row is asked about one vCPU of one guest, and excuses exactly what Linux's own rule (``linux_leaves``) makes
of the two. A CLIDR_EL1 that a VMM wrote and a vCPU lost is never excused.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ccsight.arm64.caches import effective_idc
from ccsight.arm64.registers import CTR_EL0
from ccsight.evidence.linux import SYSFS, LinuxCpu, LinuxGuest
from ccsight.kvm.behaviour import NATIVE, NORMALISED
from ccsight.kvm.linux_leaves import in_order, is_placed, leaves_of, outcomes

#: Linux's names for what CTR_EL0 can promise, as its log has them ("CPU features: detected: ...").
PROMISES = {
    "IDC": "Data cache clean to the PoU not required for I/D coherence",
    "DIC": "Instruction cache invalidation not required for I/D coherence",
}


@dataclass(frozen=True)
class Seen:
    """One vCPU of a guest, and each CLIDR_EL1 of the host's CPUs where KVM shows those."""

    guest: LinuxGuest
    cpu: LinuxCpu
    host: frozenset[int]

    @property
    def follows_linux(self) -> bool:
        """Whether it shows what Linux's rule makes of the device tree and one of these registers."""
        shown = None if self.cpu.leaves is None else tuple(leaf.name for leaf in self.cpu.leaves)
        clidrs = self.host | {self.guest.clidr or 0}
        return any(shown in outcomes(self.guest.described, clidr) for clidr in clidrs)

    @property
    def is_of_another_source(self) -> bool:
        """Whether the device tree is of the host's sysfs, and lists other caches than CLIDR_EL1."""
        guest = self.guest
        return guest.device_tree == SYSFS and described(guest) != leaves_of(guest.clidr or 0)


@dataclass(frozen=True)
class KnownGuest:
    """A known deviation from CR-016: under which behaviours, what must hold beside Linux's rule, and why."""

    behaviours: tuple[str, ...]
    holds: Callable[[Seen], bool]
    why: str


def described(guest: LinuxGuest) -> tuple[str, ...]:
    """Return the caches that the device tree lists, in Linux's order."""
    return in_order(leaf.name for leaf in guest.described)


def fits(guest: LinuxGuest, cpu: LinuxCpu) -> bool:
    """Tell whether a guest's CPU shows the caches that CLIDR_EL1 lists.

    Further out it may show what the device tree lists beyond them: Linux takes those for external caches.
    """
    wanted, shown = leaves_of(guest.clidr or 0), tuple(leaf.name for leaf in cpu.leaves or ())
    depth = max((name[:2] for name in wanted), default="")
    within = [name for name in shown if name[:2] <= depth]
    beyond = set(shown) - set(within)
    return sorted(within) == sorted(wanted) and beyond <= set(described(guest))


def _lost_all(seen: Seen) -> bool:
    return seen.is_of_another_source and not seen.cpu.leaves


def _finds_no_node(seen: Seen) -> bool:
    """CLIDR_EL1 and the device tree agree, and yet Linux cannot place all caches."""
    guest = seen.guest
    agree = described(guest) == leaves_of(guest.clidr or 0)
    return agree and not is_placed(guest.described, guest.clidr or 0)


def _ran_elsewhere(seen: Seen) -> bool:
    return len(seen.host) > 1


KNOWN = (
    KnownGuest(
        (NORMALISED.name,),
        _lost_all,
        "the VMM made the device tree of the host's sysfs, and KVM fabricates CLIDR_EL1 (Linux 7af0c2534f4c, "
        "v6.3): a guest whose kernel counts more caches in the device tree than it can place shows none "
        "(cache_setup_of_node(), drivers/base/cacheinfo.c; Firecracker PR 5780)",
    ),
    KnownGuest(
        (NORMALISED.name,),
        lambda seen: seen.is_of_another_source,
        "the VMM made the device tree of the host's sysfs, and KVM fabricates CLIDR_EL1 (Linux 7af0c2534f4c, "
        "v6.3): the guest counts the caches of the one and asks the other for their types",
    ),
    KnownGuest(
        (NATIVE.name,),
        lambda seen: seen.is_of_another_source and bool(seen.cpu.leaves),
        "the host's own kernel shows other caches than its CPUs' CLIDR_EL1 lists, as its firmware describes "
        "them; a VMM that copies the host's sysfs hands that on",
    ),
    KnownGuest(
        (NATIVE.name, NORMALISED.name),
        _finds_no_node,
        "Linux looks for a further node of the device tree for every cache behind level 1, and split ones "
        "have one node together, so it runs out of them (cache_setup_of_node(), drivers/base/cacheinfo.c)",
    ),
    KnownGuest(
        (NATIVE.name,),
        _ran_elsewhere,
        "the host's CPUs differ in CLIDR_EL1, and KVM shows a guest that of the CPU that it runs on (up to "
        "v6.2)",
    ),
)


def why_known(behaviour: str, guest: LinuxGuest, cpu: LinuxCpu, host: Iterable[int] = ()) -> str:
    """Return why a guest's CPU is known to show other caches than CLIDR_EL1 lists, or "" when it is not.

    ``host`` are the CLIDR_EL1 that bare guests read on the host's CPUs; they count where KVM hands them on.
    """
    seen = Seen(guest, cpu, frozenset(host) if behaviour == NATIVE.name else frozenset())
    if not seen.follows_linux:
        return ""
    return next((row.why for row in KNOWN if behaviour in row.behaviours and row.holds(seen)), "")


def promised(guest: LinuxGuest) -> dict[str, int]:
    """Return IDC and DIC as the guest's kernel acts upon them, told by its log."""
    log = "\n".join(guest.messages)
    return {name: int(words in log) for name, words in PROMISES.items()}


def why_promised(guest: LinuxGuest, name: str) -> str:
    """Return why a guest is known to act upon a promise that CTR_EL0, as written, does not make."""
    written, clidr = guest.ctr or 0, guest.clidr
    if name != "IDC" or clidr is None or CTR_EL0.field("IDC").extract(written):
        return ""
    if not effective_idc(written, clidr):
        return ""
    return (
        "KVM lets a VMM clear CTR_EL0.IDC (Linux 2843cae26644, v6.11), and leaves CLIDR_EL1 as it was "
        f"fabricated for the host's CTR_EL0: {clidr:#x} has LoUU = LoUIS = 0, which Linux takes for IDC = 1 "
        "(read_cpuid_effective_cachetype()); the VMM must write CLIDR_EL1, too"
    )
