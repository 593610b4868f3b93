"""What is to be said of all runs: are they of one kernel each, readable, and proved by a control."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec import structs

from ccsight.evidence.bundle import shown
from ccsight.evidence.decision import Kind, Pointer, Reason
from ccsight.gate.gather import Evidence
from ccsight.gate.policy import Policy
from ccsight.gate.reasons import hold
from ccsight.gate.seen import Seen
from ccsight.gate.worth import untimely

_DIGITS = 12


def about_runs(evidence: Evidence, policy: Policy, now: datetime) -> Iterator[Reason]:
    """Yield all that is wrong with them."""
    yield from _kernels(evidence, policy, now)
    yield from _damaged(evidence)
    yield from _skipped(evidence, policy)
    if policy.wanted.control:
        yield from _control(evidence, policy, now)


def kernels(evidence: Evidence, policy: Policy, now: datetime) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what identifies the old and the new kernel, each as often as there are different ones."""
    timely = _timely(evidence, policy, now)
    old = (name for seen in timely for name in (seen.old, seen.again[0]))
    new = (name for seen in timely for name in (seen.new, seen.again[1]))
    return _ids(old), _ids(new)


def _ids(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(found) - {""}))


def _timely(evidence: Evidence, policy: Policy, now: datetime) -> list[Seen]:
    return [seen for seen in evidence.seen if not untimely(seen.created, policy, now)]


def _kernels(evidence: Evidence, policy: Policy, now: datetime) -> Iterator[Reason]:
    """Yield names that more than one kernel goes by, or both."""
    pointers = tuple(seen.pointer() for seen in _timely(evidence, policy, now))
    old, new = kernels(evidence, policy, now)
    for name, found in ((policy.old, old), (policy.new, new)):
        if len(found) > 1:
            ids = ", ".join(each[:_DIGITS] for each in found)
            reason = hold(Kind.KERNELS, f"{len(found)} kernels go by {name.text}: {ids}")
            next_step = "give only the runs of one, or name it in the policy: build-id:HEX"
            yield structs.replace(reason, next_step=next_step, evidence=pointers)
    for same in set(old) & set(new):
        said = f"{policy.old.text} and {policy.new.text} are the same kernel: {same[:_DIGITS]}"
        yield structs.replace(hold(Kind.KERNELS, said), evidence=pointers)


def _damaged(evidence: Evidence) -> Iterator[Reason]:
    for each in evidence.damaged:
        fact = each.problem.fact if each.problem else f"{each.folder} cannot be read"
        pointer = Pointer(run=each.folder.name, file=str(shown(each.folder / "run.json")))
        next_step = "make the run again, or leave it out"
        yield structs.replace(hold(Kind.DAMAGED, fact), evidence=(pointer,), next_step=next_step)


def _skipped(evidence: Evidence, policy: Policy) -> Iterator[Reason]:
    """Yield members of which no law said anything, and laws that are named and passed nowhere."""
    spoke: set[str] = set()
    silent: dict[str, None] = {}
    for member in policy.fleet:
        own = evidence.of(member.name)
        laws = [judged for seen in own for judged in seen.judged if judged.kind is Kind.LAW]
        passed = {judged.check for judged in laws if not judged.skipped}
        spoke |= passed
        silent |= {judged.check: None for judged in laws if judged.skipped}
        if laws and not passed:
            reason = hold(Kind.SKIPPED, f"every law was skipped: {laws[0].skipped}", member.name)
            yield structs.replace(reason, evidence=tuple(seen.pointer() for seen in own))
    for check in silent:
        if check in policy.laws and check not in spoke:
            said = f"{check} must pass, and was skipped everywhere"
            yield structs.replace(hold(Kind.SKIPPED, said), check=check)


def _control(evidence: Evidence, policy: Policy, now: datetime) -> Iterator[Reason]:
    """Yield the lack of a control: one of the same ccsight, in time, that noticed its fault."""
    versions = {seen.ccsight for seen in evidence.seen}
    timely = [each for each in evidence.controls if not untimely(each.created, policy, now)]
    if not any(each.noticed and each.ccsight in versions for each in timely):
        lost = ", ".join(f"{each.check} in {each.run}" for each in evidence.controls)
        said = f"no control run proves that checks can fail{f'; not this: {lost}' if lost else ''}"
        next_step = "make one, and name it, too: suites/control/README.md"
        yield structs.replace(hold(Kind.CONTROL, said), next_step=next_step)
