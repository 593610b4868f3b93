"""Known deviations from the laws, as rows: of which register, the exact rule that must hold, and why.

A rule is asked about one difference at a time. Whatever only looks like the known deviation is not excused.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ccsight.arm64.caches import effective_idc, listed
from ccsight.arm64.registers import CTR_EL0, SELECTORS, base_name, ccsidr
from ccsight.evidence.views import Vantage, View, Write
from ccsight.kvm.model import GUESTS, native, trapped_size
from ccsight.kvm.physical import Physical
from ccsight.kvm.sanitised import sanitised_ctr

_U32 = 0xFFFF_FFFF
_SELECTOR = {ccsidr(selector): selector for selector in SELECTORS}


@dataclass(frozen=True)
class Difference:
    """Two views that do not show a register alike; ``write`` where one was written what the other had read.

    For CR-001 ``one`` is userspace's and ``other`` the guest's, of one vCPU. For CR-003 they are of one
    vantage, on two physical CPUs, ``one`` being the origin of what was written.
    """

    reading: str
    one: View
    other: View
    cpus: Physical
    write: Write | None = None

    @property
    def views(self) -> tuple[View, View]:
        """Both views."""
        return self.one, self.other

    @property
    def values(self) -> tuple[int | None, int | None]:
        """What the views have of the register."""
        return self.one.value(self.reading), self.other.value(self.reading)


@dataclass(frozen=True)
class Known:
    """A known deviation from a law: of which check and register, what must hold then, and why."""

    check: str
    register: str
    holds: Callable[[Difference], bool]
    why: str

    def explains(self, check: str, difference: Difference) -> bool:
        """Tell whether this is the known deviation."""
        same = (self.check, self.register) == (check, base_name(difference.reading))
        return same and self.holds(difference)


def _userspace_ctr_is_sanitised(difference: Difference) -> bool:
    kept, raw = difference.values
    return is_sanitised(kept, raw, difference.other, difference.cpus)


def is_sanitised(kept: int | None, raw: int | None, guest: View, cpus: Physical) -> bool:
    """Tell whether one CTR_EL0 is what the host keeps of the other, which the guest reads from its CPU.

    Where CPUs differ without being mismatched, L1Ip may be the weakest one.
    """
    clidr = guest.value("CLIDR_EL1")
    if raw is None or clidr is None:
        return False
    alone = sanitised_ctr([(raw, clidr)])
    vipt = CTR_EL0.field("L1Ip").lo
    weakest = alone & ~CTR_EL0.field("L1Ip").mask | 2 << vipt
    return kept == alone or (cpus.differ(None, None) and kept == weakest)


def _untrapped_ctr_is_some_cpus_own(difference: Difference) -> bool:
    """Userspace's is the host's. Where the CPUs are not known, the guest's has but a TminLine more."""
    (kept, raw), cpus = difference.values, difference.cpus
    if raw is None or cpus.enhanced_traps is False or cpus.mismatched:
        return False
    if own := cpus.own(None, "CTR_EL0"):
        return raw in own and kept == cpus.ctr
    return raw & ~CTR_EL0.field("TminLine").mask == kept


def _ioctl_cuts_to_32_bits(difference: Difference) -> bool:
    carried, raw = difference.values
    return raw is not None and raw >> 32 != 0 and raw & _U32 == carried


def _unlisted_cache_has_no_id(difference: Difference) -> bool:
    caches = listed(difference.one.value("CLIDR_EL1") or 0)
    unlisted = difference.reading not in {ccsidr(cache.selector) for cache in caches}
    return unlisted and difference.one.readings[difference.reading].problem == "ENOENT"


def _trapped_on_some_cpu(difference: Difference) -> bool:
    """The guest's is what KVM makes, when it traps, of a size that userspace is told on some CPU."""
    told, seen = difference.values
    sizes = {told, *_told(difference)} - {None}
    return difference.cpus.mismatched is True and seen in _shown(difference, sizes)


def _read_on_two_cpus(difference: Difference) -> bool:
    """The launch is pinned to no CPU: both sides are what some CPU of a host of several kinds gives."""
    told, seen = difference.values
    if seen is None or difference.cpus.mismatched or not difference.cpus.differ(None, None):
        return False
    sizes = set(_told(difference))
    return told in sizes and seen & _U32 in _shown(difference, sizes)


def _told(difference: Difference) -> Iterator[int | None]:
    """Yield what a VMM is told of the register on each CPU."""
    return (view.value(difference.reading) for view in difference.cpus.told.values())


def _shown(difference: Difference, sizes: Iterable[int | None]) -> set[int]:
    """Return the low halves that a guest may read of sizes: trapped, not trapped, either where not known."""
    found = {size for size in sizes if size is not None}
    trapped = {trapped_size(_SELECTOR[difference.reading], size) for size in found}
    return {True: trapped, False: found, None: found | trapped}[difference.cpus.mismatched]


def _latched_on_another_cpu(difference: Difference) -> bool:
    """Both sides are what some CPU holds, so CPUs hold different ones."""
    return set(difference.values) <= set(difference.cpus.own(None, difference.reading))


def _each_cpu_has_its_own(difference: Difference) -> bool:
    """The CPUs are of different kinds, and each view has just what the model says for its CPU."""
    kinds = difference.cpus.differ(difference.one.cpu, difference.other.cpu)
    return kinds and not difference.write and all(_is_its_own(difference, view) for view in difference.views)


def _each_guest_reads_its_own(difference: Difference) -> bool:
    """As above, but userspace is told the same everywhere (invariant_sys_regs[])."""
    return difference.one.vantage in GUESTS and _each_cpu_has_its_own(difference)


def _untrapped_ctr_is_the_cpus_own(difference: Difference) -> bool:
    """The log says that KVM has the finer traps and that the CPUs match; each guest has its CPU's own."""
    cpus = difference.cpus
    untrapped = cpus.enhanced_traps is True and cpus.mismatched is False and not difference.write
    return (
        untrapped
        and difference.one.vantage in GUESTS
        and all(view.value("CTR_EL0") in cpus.own(view.cpu, "CTR_EL0") for view in difference.views)
    )


def _is_its_own(difference: Difference, view: View) -> bool:
    """Ask the model; where only KVM tells what the CPU holds, a guest's size must be what a VMM is told."""
    cpus, name = difference.cpus, difference.reading
    expected = native(cpus, view).get(name)
    value = view.value(name)
    if expected is not None or value is None:
        return view.readings[name] in (expected or ())
    if name == "CTR_EL0":
        return cpus.mismatched is False  # with a mismatch the guest is trapped, and reads the host's
    if name not in _SELECTOR or view.vantage is Vantage.USERSPACE:
        return True
    told = cpus.told.get(-1 if view.cpu is None else view.cpu)
    if told is None:
        return False
    unlisted = told.readings[name].problem == "ENOENT"  # what such a CCSIDR_EL1 reads is UNKNOWN
    return unlisted or value & _U32 in _shown(difference, [told.value(name)])


def _another_cpus_size_is_refused(difference: Difference) -> bool:
    """KVM compares with the CPU that the ioctl runs on (demux_c15_set()), and leaves everything as it was."""
    write, (origin, here) = difference.write, difference.values
    if write is None or not difference.cpus.differ(write.origin, write.cpu):
        return False
    unchanged = write.after == difference.other.readings.get(difference.reading)
    return write.problem == "EINVAL" and write.value == origin != here and unchanged


def _lowered_idc_is_kept_by_clidr(difference: Difference) -> bool:
    """The VM has no IDC, but its CLIDR_EL1 is still that of the launch, in which nothing must be cleaned."""
    guest, write = difference.other, difference.write
    idc, clidr = CTR_EL0.field("IDC"), guest.value("CLIDR_EL1")
    return (
        write is not None
        and guest.value("CTR_EL0") == write.value
        and not idc.extract(write.value)
        and clidr is not None
        and clidr == difference.one.value("CLIDR_EL1")
        and effective_idc(0, clidr) == 1
    )


_FIELD_FAILURE = (
    "each physical CPU shows its own, and takes no other: a VMM that carries these to another cluster "
    "is refused: QEMU's 'failed to boot CPU1' (QEMU issue 1595)"
)
_OWN = "the guest reads the physical CPU that it runs on, and sees it change when it moves between clusters"

NATIVE = (
    Known(
        "CR-001",
        "CTR_EL0",
        _userspace_ctr_is_sanitised,
        "the guest reads the physical CPU's CTR_EL0 untrapped; userspace gets the host's sanitised one",
    ),
    Known(
        "CR-001",
        "CLIDR_EL1",
        _latched_on_another_cpu,
        "userspace gets that of the CPU on which KVM started, the guest that of the CPU it runs on",
    ),
    Known(
        "CR-001",
        "CCSIDR_EL1",
        _ioctl_cuts_to_32_bits,
        "KVM_GET_ONE_REG carries 32 bits; with FEAT_CCIDX NumSets sits above them",
    ),
    Known(
        "CR-001",
        "CCSIDR_EL1",
        _unlisted_cache_has_no_id,
        "KVM has no register for a cache that CLIDR_EL1 does not list (is_valid_cache())",
    ),
    Known(
        "CR-001",
        "CCSIDR_EL1",
        _trapped_on_some_cpu,
        "the CPUs' CTR_EL0 do not match, so the guest is trapped: a data or unified cache reads as one set "
        "of one way (access_ccsidr())",
    ),
    Known(
        "CR-001",
        "CCSIDR_EL1",
        _read_on_two_cpus,
        "userspace and the guest looked on CPUs with other caches; nothing pins a VM that is just launched",
    ),
    Known("CR-003", "CCSIDR_EL1", _each_cpu_has_its_own, _FIELD_FAILURE),
    Known("CR-003", "CCSIDR_EL1", _another_cpus_size_is_refused, _FIELD_FAILURE),
    Known("CR-003", "CLIDR_EL1", _each_guest_reads_its_own, _OWN),
    Known("CR-003", "CTR_EL0", _each_guest_reads_its_own, _OWN),
)

#: What is fabricated is the same on all CPUs; only CTR_EL0 may be read untrapped.
NORMALISED = (
    Known(
        "CR-001",
        "CTR_EL0",
        _untrapped_ctr_is_some_cpus_own,
        "with FEAT_EVT the guest reads CTR_EL0 untrapped (Linux c876c3f182a5, v6.5): L1Ip, IDC and TminLine "
        "are the CPU's own; userspace gets the host's sanitised one",
    ),
    Known(
        "CR-003",
        "CTR_EL0",
        _untrapped_ctr_is_the_cpus_own,
        "with FEAT_EVT the guest reads CTR_EL0 untrapped where the CPUs match (Linux c876c3f182a5, v6.5): "
        "L1Ip and TminLine are the CPU's own, and change under a guest that moves",
    ),
    Known(
        "CR-010",
        "CTR_EL0",
        _lowered_idc_is_kept_by_clidr,
        "a VM's CTR_EL0 may be lowered (Linux 2843cae26644, v6.11), but CLIDR_EL1 stays as made up of the "
        "host's: it names no level to clean to, which Linux takes for IDC. The VMM must write CLIDR_EL1, too",
    ),
)
