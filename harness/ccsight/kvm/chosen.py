"""Which values a VMM chooses for a VM: those that another kernel showed, so that it can go there."""

from collections.abc import Iterable, Mapping

from ccsight.arm64.caches import listed
from ccsight.arm64.registers import ID_AA64MMFR2_EL1, ccsidr
from ccsight.evidence.migrations import AS_LAUNCHED, SAVED, Saved
from ccsight.evidence.views import LAUNCH, Vantage, View

_MMFR2 = "ID_AA64MMFR2_EL1"


def chosen(views: Iterable[View], phase: str = LAUNCH) -> dict[str, int]:
    """Return what userspace was shown of the first vCPU's caches, by reading; at launch, mostly.

    CTR_EL0, CLIDR_EL1, ID_AA64MMFR2_EL1, and the CCSIDR_EL1 of each cache that CLIDR_EL1 lists.
    """
    found = (view for view in views if (view.vantage, view.phase, view.vcpu) == (Vantage.USERSPACE, phase, 0))
    view = next(found, None)
    if view is None:
        return {}
    sizes = (ccsidr(cache.selector) for cache in listed(view.value("CLIDR_EL1") or 0))
    values = {name: view.value(name) for name in ("CTR_EL0", "CLIDR_EL1", *sorted(sizes), _MMFR2)}
    return {name: value for name, value in values.items() if value is not None}


def shown_to(saved: Iterable[Saved]) -> dict[str, int]:
    """Return what the VM was shown that just was launched and saved; nothing where there is none.

    It is pinned. A VM that runs wherever the host puts it reads, up to v6.2, any CPU's caches, and on another
    kind of CPU these are refused.
    """
    found = (chosen(state.views, SAVED) for state in saved if state.strategy == AS_LAUNCHED)
    return next(found, {})


def carried_over(profile: Mapping[str, int], own: Mapping[str, int]) -> dict[str, int]:
    """Return the profile as a VMM writes it here: of ID_AA64MMFR2_EL1 only CCIDX, all else is this host's."""
    ccidx = ID_AA64MMFR2_EL1.field("CCIDX").mask
    values = dict(profile)
    if _MMFR2 in profile and _MMFR2 in own:
        values[_MMFR2] = own[_MMFR2] & ~ccidx | profile[_MMFR2] & ccidx
    return values
