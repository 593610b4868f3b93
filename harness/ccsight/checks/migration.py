"""CR-006, CR-007, CR-008, CR-020: a VM that is saved, and restored.

On the kernel that saved it, on a newer or an older one of the same machine, or on another machine.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ccsight.arm64.kvm_ids import name
from ccsight.arm64.registers import SELECTORS, ccsidr, in_short
from ccsight.checks.fields import differences
from ccsight.checks.registry import NotObserved, comparison, crossing, law
from ccsight.evidence.cases import Finding
from ccsight.evidence.migrations import (
    ARRIVED,
    AS_LAUNCHED,
    KNOWN,
    NATIVE_CAP,
    PROFILED,
    Left,
    Restored,
    Saved,
    Way,
)
from ccsight.evidence.model import Capture
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Cell, Vantage, View
from ccsight.kvm.vmms import VMMS, Move, Outcome, Vmm, lost

#: What a strategy is called in a finding.
STRATEGIES = {AS_LAUNCHED: "as launched", PROFILED: "with the old values", NATIVE_CAP: "with native caches"}


@dataclass(frozen=True)
class Moved:
    """One state at its destination: the outcome with each VMM, and what that rests on.

    ``cpu`` is the physical CPU on which it was restored, where that is not the kind on which it was saved.
    ``left`` is what did not arrive where every register was restored.
    """

    strategy: str
    cpu: int | None
    outcomes: Mapping[str, tuple[Outcome, str]]
    findings: tuple[Finding, ...]
    left: tuple[Left, ...] = ()

    @property
    def how(self) -> str:
        """How the VM was launched and restored, in words."""
        moved = "" if self.cpu is None else f", moved to CPU {self.cpu}"
        return STRATEGIES[self.strategy] + moved

    @property
    def worst(self) -> Outcome:
        """The worst outcome with any VMM."""
        order = list(Outcome)
        return min((outcome for outcome, _ in self.outcomes.values()), key=order.index)


@law(
    "CR-006",
    "save and restore on the same kernel loses nothing",
    "a VM that is only saved and restored, as every VMM does it, goes on with other caches",
    program="save",
)
def restored_on_the_same_kernel(capture: Capture) -> Iterator[Finding]:
    """Every register arrives, and the guest reads what it remembers."""
    for saved in _saved(capture):
        restored = _restored(capture, capture, saved, saved.cpu, [Way.ALL])[Way.ALL]
        yield from _losses(restored)
        yield from _visible(restored)


@comparison(
    "CR-007",
    "what the old kernel saved restores on the new one, and the guest notices nothing",
    "after an upgrade running guests see other caches, or cannot be moved to the new kernel at all",
    program="restore",
)
def upgrade(old: Capture, new: Capture) -> tuple[str, tuple[Finding, ...]]:
    """Outcome of the worst strategy and VMM."""
    return _compared(old, new)


@comparison(
    "CR-008",
    "what the new kernel saved restores on the old one, and the guest notices nothing",
    "a roll-back is impossible once guests were launched on the new kernel",
    program="restore",
)
def roll_back(old: Capture, new: Capture) -> tuple[str, tuple[Finding, ...]]:
    """Outcome of the worst strategy and VMM."""
    return _compared(new, old)


@crossing(
    "CR-020",
    "what one machine saved restores on another, and the guest notices nothing",
    "guests cannot leave a machine for one of another type, or see other caches there",
    program="restore",
)
def between_machines(source: Capture, destination: Capture) -> tuple[str, tuple[Finding, ...]]:
    """Outcome of the worst strategy and VMM."""
    return _compared(source, destination)


def _compared(source: Capture, destination: Capture) -> tuple[str, tuple[Finding, ...]]:
    found = moves(source, destination)
    order = list(Outcome)
    worst = min((moved.worst for moved in found), key=order.index)
    return str(worst), tuple(finding for moved in found for finding in (*_verdicts(moved), *moved.findings))


def moves(source: Capture, destination: Capture) -> tuple[Moved, ...]:
    """Return what became of each state of a source at a destination. Raises NotObserved."""
    same = source.cell.machine == destination.cell.machine
    found: list[Moved] = []
    for saved in _saved(source):
        places = _places(destination, saved, same=same)
        home = saved.cpu if same or len(places) > 1 else places[0]
        found += [_moved(source, destination, saved, cpu, home) for cpu in places]
    return tuple(found)


def _places(destination: Capture, saved: Saved, *, same: bool) -> tuple[int, ...]:
    """Return the CPUs on which a state was restored; on its own machine at least that on which it was saved.

    Another machine need not have a CPU of that number.
    """
    arrived = (restored for restored in destination.restored if restored.strategy == saved.strategy)
    found = {restored.cpu for restored in arrived if restored.sha256 == saved.sha256}
    return tuple(sorted(found if found and not same else found | {saved.cpu}))


def _saved(source: Capture) -> tuple[Saved, ...]:
    if not source.saved:
        raise NotObserved(f"no VM was saved on {source.cell.title}")
    return source.saved


def _restored(
    source: Capture, destination: Capture, saved: Saved, cpu: int, ways: Iterable[Way] = Way
) -> dict[Way, Restored]:
    found = {
        restored.way: restored
        for restored in destination.restored
        if _key(restored) == (source.cell, saved.strategy, saved.sha256) and restored.cpu == cpu
    }
    missing = [way for way in ways if way not in found]
    if missing:
        raise NotObserved(
            f"the VM {saved.strategy} of {source.cell.title} was not restored on {destination.cell.title} "
            f"({missing[0]})"
        )
    return found


def _key(restored: Restored) -> tuple[Cell, str, str]:
    return restored.source, restored.strategy, restored.sha256


def _moved(source: Capture, destination: Capture, saved: Saved, cpu: int, home: int) -> Moved:
    restored = _restored(source, destination, saved, cpu)
    move = Move(restored, len(saved.ids), restored[Way.LIST].listed)
    losses, visible = tuple(_losses(restored[Way.ALL])), tuple(_visible(restored[Way.ALL]))
    moved_to = None if cpu == home else cpu
    outcomes = {vmm.name: _outcome(vmm, move, losses, visible) for vmm in VMMS}
    findings = (*_launch(saved), *losses, *visible)
    return Moved(saved.strategy, moved_to, outcomes, findings, lost(restored[Way.ALL]))


def _outcome(
    vmm: Vmm, move: Move, losses: tuple[Finding, ...], visible: tuple[Finding, ...]
) -> tuple[Outcome, str]:
    """Return what becomes of the VM with a VMM, and of the first thing that decides it, in words."""
    why = vmm.stops(move)
    if why:
        return Outcome.REFUSED, why
    if losses:
        subjects = dict.fromkeys(finding.subject for finding in losses)
        return Outcome.LOSSY, f"{in_short(subjects)} did not arrive as the guest had it"
    seen = dict.fromkeys(finding.subject.partition(".")[0] for finding in visible)
    if seen:
        return Outcome.VISIBLE, f"the guest reads another {in_short(seen)} than it remembers"
    return Outcome.TRANSPARENT, ""


def _verdicts(moved: Moved) -> Iterator[Finding]:
    for vmm, (outcome, why) in moved.outcomes.items():
        yield Finding(subject=vmm, where=moved.how, said=f"{outcome}: {why}" if why else outcome)


def _launch(saved: Saved) -> Iterator[Finding]:
    """Yield what the VMM could not choose at the launch."""
    if saved.given and all(given.problem for given in saved.given):
        errnos = ", ".join(dict.fromkeys(given.problem for given in saved.given))
        yield Finding(
            subject="KVM_ENABLE_CAP",
            where="at launch",
            said=f"capability {saved.given[0].number} is not there: {errnos}",
        )
    for write in saved.writes:
        if write.problem and write.vcpu == 0:
            yield Finding(
                subject=write.name,
                where="at launch",
                said=f"the profile has {write.value:#x}, KVM refuses it: {write.problem}",
            )


def _losses(restored: Restored) -> Iterator[Finding]:
    """Yield each register, once for all vCPUs, that did not arrive, or that no state can carry whole."""
    for left in _once(lost(restored)):
        yield Finding(
            subject=name(left.kvm_id),
            said=_said(left),
            before=_value(left.saved.value, left.saved.problem),
            after=_value(left.now.value, left.now.problem) if left.now else "",
        )
    for vcpu in sorted({view.vcpu for view in restored.views if view.vcpu is not None}):
        yield from _too_wide(*(_view(restored, vcpu, Vantage.GUEST, phase) for phase in (KNOWN, ARRIVED)))
        break


def _once(found: tuple[Left, ...]) -> Iterator[Left]:
    """Yield what differs between vCPUs only by the vCPU once."""
    seen: set[tuple[Hex, str, bool]] = set()
    for left in found:
        key = (left.kvm_id, left.problem, left.unlisted)
        if key not in seen:
            seen.add(key)
            yield left


def _said(left: Left) -> str:
    if left.unlisted:
        return f"saved, but this kernel has no such register ({left.problem or 'not listed'})"
    if left.problem:
        return f"KVM_SET_ONE_REG refuses it: {left.problem}"
    return "KVM took it, and reads otherwise afterwards"


def _value(value: int | None, problem: str) -> str:
    return problem if value is None else f"{value:#x}"


def _too_wide(known: View, found: View) -> Iterator[Finding]:
    """Yield the sizes that changed because KVM's ids carry but 32 bits: sets may be above them."""
    for selector in SELECTORS:
        value = known.value(ccsidr(selector)) or 0
        if value >> 32 and value != found.value(ccsidr(selector)):
            yield Finding(
                subject=ccsidr(selector),
                said="the guest reads 64 bits, of which the state has 32: NumSets is cut off",
                before=f"{value:#x}",
                after=f"{value & 0xFFFF_FFFF:#x}",
            )


def _view(restored: Restored, vcpu: int, vantage: Vantage, phase: str) -> View:
    for view in restored.views:
        if (view.vcpu, view.vantage, view.phase) == (vcpu, vantage, phase):
            return view
    raise NotObserved(f"the guest did not say what it reads ({phase}) on vCPU {vcpu}")


def _visible(restored: Restored) -> Iterator[Finding]:
    """Yield each field that reads otherwise than the guest remembers; what all vCPUs say is said once."""
    said: set[tuple[str, str]] = set()
    vcpus = sorted({view.vcpu for view in restored.views if view.vcpu is not None})
    if not vcpus:
        raise NotObserved("the guest was not run after its VM was restored")
    for vcpu in vcpus:
        for vantage in (Vantage.GUEST, Vantage.GUEST_EL0):
            views = (_view(restored, vcpu, vantage, phase) for phase in (KNOWN, ARRIVED))
            for finding in differences(*views):
                if (finding.subject, finding.said) not in said:
                    said.add((finding.subject, finding.said))
                    yield Finding(
                        subject=finding.subject,
                        where=f"{vantage}",
                        said=finding.said,
                        before=finding.before,
                        after=finding.after,
                    )
