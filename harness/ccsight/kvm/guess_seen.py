"""From a capture under a new kernel to what userspace saw of each type of CPU: the ground of a guess. Pure.

What the silicon table declares, and what the host's kernel read, is no part of it: a VMM has neither.
"""

from collections.abc import Mapping

from ccsight.evidence.model import Capture
from ccsight.evidence.views import PINNED, Vantage, View
from ccsight.kvm.guesses import Leaf, Seen
from ccsight.kvm.physical import ENHANCED_TRAPS, MISMATCHED

#: How the kernel's log begins that says that all CPUs have FEAT_MTE (arm64_features[]).
_MTE = "Memory Tagging Extension"


def seen_in(capture: Capture, leaves: Mapping[int, tuple[Leaf, ...]]) -> dict[int, Seen]:
    """Return what was seen of each type of CPU, by its first CPU; ``leaves`` has sysfs' caches by CPU."""
    kinds = {(cpu.midr, cpu.revidr): number for number, cpu in reversed([*enumerate(capture.machine.cpus)])}
    return {
        number: _seen(capture, number, leaves.get(number), alike=len(kinds) == 1)
        for number in sorted(kinds.values())
    }


def _seen(capture: Capture, cpu: int, leaves: tuple[Leaf, ...] | None, *, alike: bool) -> Seen:
    told, guest = (_view(capture, vantage, cpu) for vantage in (Vantage.USERSPACE, Vantage.GUEST))
    mismatched = _logged(capture, MISMATCHED)
    # With HCR_EL2.TID4, CTR_EL0 is not trapped (c876c3f182a5, v6.5).
    untrapped = mismatched is False and _logged(capture, ENHANCED_TRAPS)
    return Seen(
        midr=capture.machine.cpus[cpu].midr,
        leaves=leaves,
        kept_ctr=told.value("CTR_EL0") if told else None,
        raw_ctr=guest.value("CTR_EL0") if guest and untrapped else None,
        features=told.value("ID_AA64MMFR2_EL1") if told else None,
        mismatched=mismatched,
        mte=_logged(capture, _MTE),
        alike=alike,
    )


def _view(capture: Capture, vantage: Vantage, cpu: int) -> View | None:
    found = (view for view in capture.views if (view.vantage, view.phase, view.cpu) == (vantage, PINNED, cpu))
    return next(found, None)


def _logged(capture: Capture, words: str) -> bool | None:
    """Tell whether the kernel's log has a feature; None where the log is lost."""
    features = capture.machine.cpu_features
    return None if features is None else any(each.startswith(words) for each in features)
