"""What a real VMM did with a guest, against what the rows of ``kvm/vmms`` say it would do.

A disagreement is a fault of ours, or a version of the VMM that wants a row of its own, until it is explained.
"""

from collections.abc import Iterable, Iterator

from ccsight.arm64.kvm_ids import name
from ccsight.arm64.registers import in_short
from ccsight.checks.fields import differences
from ccsight.checks.registry import NotObserved
from ccsight.evidence.cases import Finding
from ccsight.evidence.live import Live
from ccsight.evidence.migrations import ARRIVED, KNOWN, Way
from ccsight.evidence.views import Vantage, View
from ccsight.kvm import qemu_words
from ccsight.kvm.vmms import Move, Vmm, unknown_to_qemu


def disagreements(vmm: Vmm, move: Move, live: Live) -> tuple[Finding, ...]:
    """Return in what a live migration went otherwise than it was predicted from ccprobe's restores.

    ``move`` is of a VM that was launched with the same values on the same two hosts. Raises NotObserved when
    the guest went on nowhere.
    """
    if not (live.arrived or live.returned):
        raise NotObserved(f"the guest went on neither on {live.source.title} nor on {live.destination.title}")
    return (*_outcome(vmm, move, live), *_names(move, live), *_seen(move, live))


def _outcome(vmm: Vmm, move: Move, live: Live) -> Iterator[Finding]:
    why = vmm.stops(move)
    if bool(why) == live.arrived:
        predicted = f"refused: {why}" if why else "arrives"
        happened = "arrived" if live.arrived else f"refused: {live.words}"
        said = f"{vmm.name} was to end as {predicted}; {live.vmm}: {happened}"
        yield Finding(subject="outcome", said=said, before=predicted, after=happened)


def _names(move: Move, live: Live) -> Iterator[Finding]:
    """Yield registers that one of both names and the other does not, where the VMM names any."""
    told = {
        "not known there": (
            qemu_words.unknown(live.words),
            {int(left.kvm_id) for left in unknown_to_qemu(move)},
        ),
        "refused there": (
            qemu_words.refused(live.words),
            {int(left.kvm_id) for left in move.restored[Way.LIST].refused},
        ),
    }
    if not any(named for named, _ in told.values()):
        return
    for what, (named, predicted) in told.items():
        if named != predicted:
            yield Finding(
                subject=what,
                said=f"QEMU names {_short(named - predicted)} beyond what was predicted, and does not name "
                f"{_short(predicted - named)}",
                before=_short(predicted),
                after=_short(named),
            )


def _short(ids: Iterable[int]) -> str:
    return in_short(map(name, sorted(ids))) or "none"


def _seen(move: Move, live: Live) -> Iterator[Finding]:
    """Yield what the guest noticed under one of both VMMs only."""
    if not live.arrived:
        return
    ours, theirs = (_noticed(views) for views in (move.restored[Way.ALL].views, live.views))
    for subject, said in sorted(ours ^ theirs):
        who = "ccprobe" if (subject, said) in ours else live.vmm
        yield Finding(subject=subject, said=f"only under {who} the guest noticed: {said}")


def _noticed(views: Iterable[View]) -> set[tuple[str, str]]:
    """Return in which fields the guest reads something else than it remembers, on vCPU 0."""
    found = {(view.vantage, view.phase): view for view in views if view.vcpu == 0}
    pairs = [(found.get((vantage, KNOWN)), found.get((vantage, ARRIVED))) for vantage in _VANTAGES]
    if not all(known and now for known, now in pairs):
        raise NotObserved("the guest did not say what it remembers and what it reads")
    return {
        (finding.subject, finding.said)
        for known, now in pairs
        if known and now
        for finding in differences(known, now)
    }


_VANTAGES = (Vantage.GUEST, Vantage.GUEST_EL0)
