"""Three rules for a kernel that is to replace another one, as judgements of VMs that moved between the two.

They were proposed for KVM's documentation, and are not merged; so they are no laws, but what a release may be
held to. Each names what breaks it; none is kept for lack of evidence (NotObserved).
"""

from collections.abc import Iterator

from ccsight.checks.fields import differences
from ccsight.checks.migration import Moved, moves
from ccsight.checks.registry import NotObserved, rule
from ccsight.evidence.cases import Finding
from ccsight.evidence.migrations import AS_LAUNCHED, SAVED, Saved
from ccsight.evidence.model import Capture
from ccsight.evidence.views import Vantage, View
from ccsight.kvm.vmms import VMMS, Outcome

#: The VMM for which only registers count: every one that was saved is set, whoever lists it.
_WANTS_ALL = "a VMM that wants all"
#: Those that exist, or that nothing is lost with; ignoring errors is no way to make a migration work.
_STRICT = tuple(vmm.name for vmm in VMMS if vmm.name != "a VMM that ignores errors")
_FAILS = (Outcome.REFUSED, Outcome.LOSSY)


@rule(
    "RULE-1",
    "what KVM's ioctls say of a VM is enough to go on with it on the other kernel, either way",
    "a VMM that carries all that KVM lists still cannot move a VM between the kernels",
)
def state_suffices(old: Capture, new: Capture) -> Iterator[Finding]:
    """What KVM's ioctls say of a VM is enough to go on with it on the other kernel, either way."""
    for word, source, destination in (("upgrade", old, new), ("roll-back", new, old)):
        outcome, why = _of(_moves(source, destination), AS_LAUNCHED).outcomes[_WANTS_ALL]
        if outcome in _FAILS:
            yield Finding(subject=word, where=AS_LAUNCHED, said=f"{outcome}: {why}")


@rule(
    "RULE-2",
    "with what changes for guests comes a way to launch them as the old kernel would have",
    "guests change with the kernel, and no VMM can do anything about it",
)
def previous_behaviour_can_be_selected(old: Capture, new: Capture) -> Iterator[Finding]:
    """With what changes for guests comes a way to launch them as the old kernel would have."""
    before = _guests(_saved(old, AS_LAUNCHED))
    found = {saved.strategy: tuple(_changes(before, _guests(saved))) for saved in new.saved}
    if AS_LAUNCHED not in found:
        raise NotObserved(f"no VM was saved {AS_LAUNCHED} on {new.cell.title}")
    nearest = min(found, key=lambda strategy: len(found[strategy]))
    for finding in found[nearest]:
        yield Finding(
            subject=finding.subject,
            where=nearest,
            said=f"{finding.said}; no strategy shows the old value",
            before=finding.before,
            after=finding.after,
        )


@rule(
    "RULE-3",
    "every VMM can take VMs to the new kernel, and back to the old one",
    "a roll-out that goes wrong cannot be undone",
)
def both_ways_work(old: Capture, new: Capture) -> Iterator[Finding]:
    """Every VMM has a strategy with which a VM gets to the new kernel, and back to the old one."""
    up, down = _moves(old, new), _moves(new, old)
    pairs = {back.strategy: (_of(up, back.strategy), back) for back in down}
    for vmm in _STRICT:
        failures = {strategy: _failure(vmm, *pair) for strategy, pair in pairs.items()}
        if all(failures.values()):
            for strategy, said in failures.items():
                yield Finding(subject=vmm, where=strategy, said=said)


def _moves(source: Capture, destination: Capture) -> tuple[Moved, ...]:
    """Return the moves between kernels alone: what another kind of CPU does to a VM is no kernel's."""
    return tuple(moved for moved in moves(source, destination) if moved.cpu is None)


def _of(found: tuple[Moved, ...], strategy: str) -> Moved:
    """Return what became of a strategy's VM; where there was none, of the one that just was launched."""
    by_strategy = {moved.strategy: moved for moved in found}
    moved = by_strategy.get(strategy) or by_strategy.get(AS_LAUNCHED)
    if moved is None:
        raise NotObserved(f"no VM was moved that was launched {strategy} or {AS_LAUNCHED}")
    return moved


def _failure(vmm: str, up: Moved, back: Moved) -> str:
    """Say what goes wrong with a VMM, "" where both ways work."""
    outcomes = (("upgrade", up.outcomes[vmm]), ("roll-back", back.outcomes[vmm]))
    return "; ".join(f"{way} {outcome}: {why}" for way, (outcome, why) in outcomes if outcome in _FAILS)


def _saved(capture: Capture, strategy: str) -> Saved:
    for saved in capture.saved:
        if saved.strategy == strategy:
            return saved
    raise NotObserved(f"no VM was saved {strategy} on {capture.cell.title}")


def _guests(saved: Saved) -> dict[tuple[int | None, Vantage], View]:
    """Return what guests read before they were saved."""
    views: dict[tuple[int | None, Vantage], View] = {
        (view.vcpu, view.vantage): view
        for view in saved.views
        if view.phase == SAVED and view.vantage in (Vantage.GUEST, Vantage.GUEST_EL0)
    }
    if not views:
        raise NotObserved(f"the guest of the VM {saved.strategy} did not say what it reads")
    return views


def _changes(
    before: dict[tuple[int | None, Vantage], View], after: dict[tuple[int | None, Vantage], View]
) -> Iterator[Finding]:
    """Yield each field that reads otherwise, once for all vCPUs and exception levels."""
    if before.keys() != after.keys():
        raise NotObserved("the guests of both kernels did not say what they read on the same vCPUs")
    said: set[tuple[str, str]] = set()
    for place, view in before.items():
        for finding in differences(view, after[place]):
            if (finding.subject, finding.said) not in said:
                said.add((finding.subject, finding.said))
                yield finding
