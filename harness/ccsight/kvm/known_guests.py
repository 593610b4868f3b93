"""Known deviations from CR-011 and CR-012: what kernels do where a guest asks for something odd.

In a difference ``other`` is the view of EL0, of AArch32, or of the guest that asked; ``one`` is what EL1 saw
beside it or at launch, and for a selector that did not come back it is ``other`` again.
"""

from ccsight.arm64.caches import Layout, listed
from ccsight.arm64.registers import ccsidr
from ccsight.evidence.guests import WRITTEN, selected
from ccsight.evidence.views import Vantage
from ccsight.kvm.known import Difference, Known, is_sanitised
from ccsight.kvm.model import trapped_size

_U32 = 0xFFFF_FFFF
_SELECTOR = {name(selector): selector for name in (selected, ccsidr) for selector in WRITTEN}


def _is_aarch32(difference: Difference) -> bool:
    return difference.other.vantage is Vantage.GUEST_AARCH32


def _read_on_two_cpus(difference: Difference) -> bool:
    """The CPUs are of different kinds, and each view has what one of them holds; in AArch32 half of it."""
    own = difference.cpus.own(None, difference.reading)
    mask = _U32 if _is_aarch32(difference) else -1
    values = {value & mask for value in difference.values if value is not None}
    return (
        difference.cpus.differ(None, None)
        and None not in difference.values
        and values <= {value & mask for value in own}
    )


def _aarch32_ctr_is_sanitised(difference: Difference) -> bool:
    raw, kept = difference.values
    return _is_aarch32(difference) and is_sanitised(kept, raw, difference.one, difference.cpus)


def _aarch32_size_is_trapped(difference: Difference) -> bool:
    """AArch32's is what KVM makes of EL1's size when it traps, or of that of another kind of CPU."""
    here, seen = difference.values
    selector = _SELECTOR.get(difference.reading)
    if not _is_aarch32(difference) or here is None or selector is None:
        return False
    told = {view.value(difference.reading) for view in difference.cpus.told.values()} - {None}
    others = told if difference.cpus.differ(None, None) else set()
    return seen in {trapped_size(selector, size) for size in {here, *others} if size is not None}


def _aarch32_clidr_is_lost(difference: Difference) -> bool:
    here, seen = difference.values
    return _is_aarch32(difference) and bool(here) and seen == 0


def _names_no_cache(difference: Difference) -> bool:
    """The selector is of a cache that CLIDR_EL1 does not list, or of tags."""
    view = difference.other
    clidr = view.value("CLIDR_EL1")
    if clidr is None or difference.reading not in _SELECTOR:
        return False
    return _SELECTOR[difference.reading] not in {cache.selector for cache in listed(clidr)}


def _unlisted_selector_comes_back_otherwise(difference: Difference) -> bool:
    return _names_no_cache(difference) and None not in difference.values


def _unlisted_size_is_undefined(difference: Difference) -> bool:
    undefined = difference.other.readings[difference.reading].problem == "UNDEF"
    return _names_no_cache(difference) and undefined


def _ccsidr2_is_the_cpus_own(difference: Difference) -> bool:
    """A CPU whose CCSIDR_EL1 has the 64-bit layout may have it: 24 bits of sets."""
    value = difference.other.value(difference.reading)
    layout = Layout.of(difference.one.value("ID_AA64MMFR2_EL1") or 0)
    return not _is_aarch32(difference) and layout is Layout.CCIDX and value is not None and value < 1 << 24


_TWO_CPUS = "the two were read on CPUs that hold other values; nothing pins a VM that is just launched"
_UNKNOWN = "CLIDR_EL1 does not list a cache for this selector, so the Arm ARM promises nothing but an end"

_UNTRAPPED = tuple(
    Known("CR-011", register, _read_on_two_cpus, _TWO_CPUS) for register in ("CTR_EL0", "DCZID_EL0")
)

#: Up to v6.2 a guest reads the CPU, unless its EL1 is in AArch32: then HCR_EL2.TID2 traps every read.
NATIVE = (
    *_UNTRAPPED,
    Known("CR-011", "CLIDR_EL1", _read_on_two_cpus, _TWO_CPUS),
    Known(
        "CR-011",
        "CTR_EL0",
        _aarch32_ctr_is_sanitised,
        "AArch32 is trapped and reads the host's sanitised CTR_EL0 (access_ctr()), AArch64 the CPU's own",
    ),
    Known(
        "CR-011",
        "CCSIDR_EL1",
        _aarch32_size_is_trapped,
        "AArch32 is trapped: a data or unified cache reads as one set of one way (access_ccsidr())",
    ),
    Known("CR-012", "CSSELR_EL1", _unlisted_selector_comes_back_otherwise, _UNKNOWN),
    Known("CR-012", "CCSIDR_EL1", _unlisted_size_is_undefined, _UNKNOWN),
    Known(
        "CR-012",
        "CCSIDR2_EL1",
        _ccsidr2_is_the_cpus_own,
        "the guest reads the physical CPU, which has CCSIDR2_EL1 beside the 64-bit CCSIDR_EL1",
    ),
)

NORMALISED = (
    *_UNTRAPPED,
    Known(
        "CR-011",
        "CLIDR_EL1",
        _aarch32_clidr_is_lost,
        "a fault of the kernel: its CP15 table names no register behind CLIDR, so an AArch32 EL1 reads 0, "
        "no caches at all, whatever userspace has set (access_clidr(), since 7af0c2534f4c, v6.3)",
    ),
)
