"""What a profile proves: a VM that was launched with it saw exactly its values, and moves unnoticed. Pure.

A question is a case: FAIL where the kernel shows something else or refuses, MISS where nobody asked it.
"""

from collections.abc import Iterator, Sequence

import msgspec

from ccsight.arm64.registers import ID_AA64MMFR2_EL1, base_name
from ccsight.arm64.suggest import nearest
from ccsight.checks.fields import differences
from ccsight.checks.migration import Moved
from ccsight.checks.registry import NotObserved
from ccsight.errors import UsageError
from ccsight.evidence.cases import Case, Finding, PlannedCase, unjudged
from ccsight.evidence.migrations import PROFILED, SAVED, Saved
from ccsight.evidence.profile import CoreProfile, Shown
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Reading, Vantage, View, Write
from ccsight.kvm.profiles import chosen, with_features
from ccsight.kvm.refusals import refusals
from ccsight.kvm.vmms import VMMS, Outcome
from ccsight.status import Status

#: The two questions.
LAUNCH, MOVE = "profile-launch", "profile-move"

#: Of this register a profile has one field.
_FEATURES = ID_AA64MMFR2_EL1.name
_CCIDX = ID_AA64MMFR2_EL1.field("CCIDX")


def launched(cell: str, core: CoreProfile, saved: Sequence[Saved], behaviour: str) -> Case:
    """Return whether a VM that was launched with a profile on one kernel showed its values.

    ``behaviour`` is the kernel's, by which the rule behind a refusal is found.
    """
    planned = PlannedCase(check=LAUNCH, cells=(cell,))
    try:
        findings = tuple(_launch(core, _profiled(saved), behaviour))
    except NotObserved as error:
        return unjudged(planned, error.status, error.fact)
    status = Status.FAIL if findings else Status.PASS
    return Case(check=planned.check, cells=planned.cells, status=status, findings=findings)


def moved(source: str, destination: str, found: Sequence[Moved], vmms: Sequence[str] = ()) -> Case:
    """Return whether a VM that was launched with a profile went from one kernel to another unnoticed.

    With the VMMs that are named, or with every one that is known. The outcome is the worst of theirs.
    """
    planned = PlannedCase(check=MOVE, cells=(source, destination))
    for state in found:
        if state.strategy == PROFILED and state.cpu is None:  # another kind of CPU is no matter of kernels
            return _move(planned, state, vmms or tuple(state.outcomes))
    return unjudged(planned, Status.MISS, "no VM that was launched with the profile was restored there")


def require_vmms(names: Sequence[str]) -> None:
    """Refuse a VMM that is no row of the table. Raises UsageError naming the nearest."""
    known = [vmm.name for vmm in VMMS]
    for name in names:
        if name not in known:
            raise UsageError(
                f"nothing is known of the VMM {name!r}",
                evidence=nearest(name, known),
                next_step=f"known are {', '.join(known)}",
            )


def _move(planned: PlannedCase, state: Moved, vmms: Sequence[str]) -> Case:
    asked = [(vmm, *state.outcomes[vmm]) for vmm in vmms if vmm in state.outcomes]
    if not asked or len(asked) < len(vmms):
        return unjudged(planned, Status.MISS, "the evidence lacks a VMM that was asked about")
    order = list(Outcome)
    worst = min((outcome for _, outcome, _ in asked), key=order.index)
    said = [Finding(subject=vmm, said=f"{outcome}: {why}" if why else outcome) for vmm, outcome, why in asked]
    return Case(
        check=planned.check,
        cells=planned.cells,
        status=Status.PASS if worst is Outcome.TRANSPARENT else Status.FAIL,
        outcome=worst,
        findings=(*said, *state.findings),
    )


def _profiled(saved: Sequence[Saved]) -> Saved:
    for state in saved:
        if state.strategy == PROFILED:
            return state
    raise NotObserved("no VM was launched with the profile")


def _launch(core: CoreProfile, state: Saved, behaviour: str) -> Iterator[Finding]:
    vcpus = sorted({view.vcpu for view in state.views if view.vcpu is not None})
    if not vcpus:
        raise NotObserved("the VM that was launched with the profile was not looked at")
    for vcpu in vcpus:
        yield from _refused(
            core.userspace, [write for write in state.writes if write.vcpu == vcpu], behaviour
        )
        for vantage, shown in ((Vantage.USERSPACE, core.userspace), (Vantage.GUEST, core.guest)):
            yield from _otherwise(shown, _view(state, vantage, vcpu))


def _refused(shown: Shown, writes: Sequence[Write], behaviour: str) -> Iterator[Finding]:
    """Yield each value of the profile that KVM does not take, with the rule. Raises NotObserved."""
    done = {write.name: write for write in writes}
    for name, value in chosen(shown).items():
        write = done.get(name)
        if write is None or write.value != value:
            raise NotObserved(f"{name} of the profile was never written")
        if write.problem:
            rules = [
                row for row in refusals(base_name(name), write.problem) if row.behaviour in ("", behaviour)
            ]
            rule = f": {rules[0].rule} ({rules[0].source})" if rules else ""
            yield Finding(
                subject=name,
                where=f"vCPU {write.vcpu}, {write.phase}",
                said=f"KVM refuses {value:#x} with {write.problem}{rule}",
            )


def _view(state: Saved, vantage: Vantage, vcpu: int) -> View:
    for view in state.views:
        if (view.vantage, view.phase, view.vcpu) == (vantage, SAVED, vcpu):
            return view
    raise NotObserved(f"nobody looked from {vantage} on vCPU {vcpu}")


def _otherwise(shown: Shown, view: View) -> Iterator[Finding]:
    """Yield each field of a view that is not the profile's. What the profile does not have is not asked."""
    wanted = {name: Reading(value=value) for name, value in shown.readings().items()}
    wanted[_FEATURES] = Reading(value=Hex(with_features(shown, 0)))
    for name in wanted:
        if name not in view.readings:
            raise NotObserved(f"{name} was never read from {view.vantage} on vCPU {view.vcpu}")
    found = {name: view.readings[name] for name in wanted}
    features = found[_FEATURES].value
    if features is not None:
        found[_FEATURES] = Reading(value=Hex(features & _CCIDX.mask))
    as_wanted, as_found = (msgspec.structs.replace(view, readings=each) for each in (wanted, found))
    for finding in differences(as_wanted, as_found):
        yield Finding(
            subject=finding.subject,
            where=f"{view.vantage}, vCPU {view.vcpu}",
            said=f"{finding.after} instead of {finding.before}",
            before=finding.before,
            after=finding.after,
        )
