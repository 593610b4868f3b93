"""What values that a fleet has in common prove: a VM that has them moves, as far as its caches go. Pure.

Between unlike cores KVM refuses MIDR_EL1 and fields of ID registers whatever the caches are. That is told, as
not about caches, and not held against the values.
"""

from collections.abc import Iterator, Sequence

from ccsight.arm64.kvm_ids import name
from ccsight.checks.hurdles import BY_GUESTS, of_caches, seen_of_caches
from ccsight.checks.migration import Moved
from ccsight.evidence.cases import Case, Finding, PlannedCase, unjudged
from ccsight.evidence.migrations import PROFILED
from ccsight.kvm.vmms import Outcome
from ccsight.status import Status

#: The two questions.
LAUNCH, MOVE = "common-launch", "common-move"
#: Why a finding is none of the values' concern.
NOT_CACHES = "not about caches"


def crossed(source: str, destination: str, found: Sequence[Moved]) -> Case:
    """Return whether a VM that was launched with the common values went from one cell to another.

    FAIL where anything of its caches was refused or lost, or the guest notices; all else is a finding that
    is known to be :data:`NOT_CACHES`. The outcome is that of the caches alone.
    """
    planned = PlannedCase(check=MOVE, cells=(source, destination))
    states = [moved for moved in found if moved.strategy == PROFILED]
    if not states:
        return unjudged(planned, Status.MISS, "no VM that was launched with the common values arrived there")
    findings = tuple(dict.fromkeys(finding for state in states for finding in _findings(state)))
    own = [finding for finding in findings if not finding.known]
    return Case(
        check=planned.check,
        cells=planned.cells,
        status=Status.FAIL if own else Status.PASS,
        outcome=_outcome(states, own),
        findings=findings,
    )


def _findings(state: Moved) -> Iterator[Finding]:
    for left in state.left:
        yield Finding(
            subject=name(left.kvm_id),
            said=left.problem or ("not listed there" if left.unlisted else "taken, and reads otherwise"),
            known="" if of_caches(left) else NOT_CACHES,
        )
    for finding in state.findings:
        if finding.where in BY_GUESTS:
            known = "" if seen_of_caches(finding.subject) else NOT_CACHES
            yield Finding(subject=finding.subject, said=finding.said, where=finding.where, known=known)


def _outcome(states: Sequence[Moved], own: Sequence[Finding]) -> Outcome:
    """Return what becomes of the VM if nothing counts but its caches."""
    about = {finding.subject for finding in own}
    left = [each for state in states for each in state.left if name(each.kvm_id) in about]
    if any(each.problem or each.unlisted for each in left):
        return Outcome.REFUSED
    if left:
        return Outcome.LOSSY
    return Outcome.VISIBLE if own else Outcome.TRANSPARENT
