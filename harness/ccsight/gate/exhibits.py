"""What the page of a decision shows of each machine: read again, a machine at a time, where one is wanted.

Nothing is decided here, and no evidence, however odd, may keep somebody from the decision.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from ccsight.arm64.caches import Layout
from ccsight.checks import AGREEMENTS, RULES
from ccsight.checks.migration import moves
from ccsight.checks.registry import NotObserved
from ccsight.checks.verdict import judged as verdict
from ccsight.evidence.cases import Case, PlannedCase, unjudged
from ccsight.evidence.decision import Kind
from ccsight.evidence.model import Capture
from ccsight.evidence.run import Run
from ccsight.gate.comparing import COMPARED, WAYS
from ccsight.gate.gather import Evidence
from ccsight.gate.load import Loaded
from ccsight.gate.policy import Policy
from ccsight.gate.seen import Judged, Seen
from ccsight.gate.site import Site, observe
from ccsight.gate.worth import counts
from ccsight.report.exhibit import Answer, Exhibit, Side, guest, rows, side
from ccsight.report.rows import Row
from ccsight.report.telling import Passage, Telling, passages, telling
from ccsight.status import Status

#: What is told whatever came of it: which check compares the two kernels of a machine.
_CHECKS = {**WAYS, **{kind: check for kind, (check, _) in COMPARED.items()}}


def exhibits(
    loaded: Iterable[Loaded], evidence: Evidence, policy: Policy, now: datetime
) -> Iterator[Exhibit]:
    """Yield what there is of each machine in each run, as the evidence has been gathered of them."""
    fleet = {member.name: member for member in policy.fleet}
    for each in loaded:
        for seen in evidence.seen if each.run else ():
            if each.run and seen.file.is_relative_to(each.run.folder):
                member = fleet.get(seen.member)
                yield _exhibit(each.run, seen, counted=bool(member and counts(seen, member, policy, now)))


def _exhibit(run: Run, seen: Seen, *, counted: bool) -> Exhibit:
    cells = {cell.id: cell for cell in run.plan.cells}
    site = observe(run, cells.get(seen.cells[0]), cells[seen.cells[1]])
    sides, changed = _shown(site)
    tellings = _tellings(site, seen)
    return Exhibit(
        run=seen.run,
        created=seen.created,
        ccsight=seen.ccsight,
        machine=seen.machine,
        member=seen.member,
        substrate=str(seen.substrate),
        counts=counted,
        cell=seen.cells[1],
        file=seen.pointer().file,
        sides=sides,
        rows=changed,
        answers=tuple(_answer(judged, tellings) for judged in seen.judged),
        tellings=tellings,
    )


def _shown(site: Site) -> tuple[tuple[Side, Side], tuple[Row, ...]]:
    """Return both sides, and what changes; nothing of evidence that cannot be shown."""
    old, new = (site.captures.get(cell.id) if cell else None for cell in (site.old, site.new))
    names = tuple(site.run.plan.label(cell.kernel) if cell else "" for cell in (site.old, site.new))
    try:
        return (side(names[0], old), side(names[1], new)), rows(old, new)
    except Exception:  # as in judging: evidence may have been altered in ways that nobody thought of
        return (side(names[0], None), side(names[1], None)), ()


def _answer(judged: Judged, tellings: Mapping[str, Telling]) -> Answer:
    compared = judged.kind in _CHECKS and judged.check in tellings
    return Answer(
        kind=judged.kind,
        check=judged.check,
        name=judged.name,
        word=tellings[judged.check].word if compared else "",
        held=bool(judged.facts),
        missed=judged.missed,
        skipped=judged.skipped,
    )


def _tellings(site: Site, seen: Seen) -> dict[str, Telling]:
    """Return what is told: all comparisons that were made, and laws that fail."""
    meant = [
        judged.check
        for judged in seen.judged
        if not judged.missed and (judged.kind in _CHECKS or (judged.kind is Kind.LAW and judged.facts))
    ]
    return {check: _told(site, check) for check in dict.fromkeys(meant)}


def _told(site: Site, check: str) -> Telling:
    planned = _planned(site, check)
    try:
        case = _judge(site, planned)
        return telling(case, _layout(site.captures.get(site.new.id)), _passages(site, check))
    except Exception as error:  # as above
        reason = f"{check} breaks on this evidence: {type(error).__name__}: {error}"
        return telling(unjudged(planned, Status.ERROR, reason), Layout.NARROW)


def _planned(site: Site, check: str) -> PlannedCase:
    """Return a case as the gate judges it, and where it is one of two machines as the run planned it."""
    if check in AGREEMENTS:
        own = (case for case in site.run.plan.cases if (case.check, case.cells[-1]) == (check, site.new.id))
        return next(own, PlannedCase(check=check, cells=(site.new.id,)))
    cells = site.pair if check in _CHECKS.values() or check in RULES else (site.new.id,)
    return PlannedCase(check=check, cells=cells)


def _judge(site: Site, planned: PlannedCase) -> Case:
    cells = {cell.id: cell for cell in site.run.plan.cells}
    other = planned.check in AGREEMENTS and cells.get(planned.cells[0])
    both = observe(site.run, other, site.new) if other else site
    return verdict(planned, both.captures, both.failures, both.boots)


def _passages(site: Site, check: str) -> tuple[Passage, ...]:
    if check not in WAYS.values():
        return ()
    back = check == WAYS[Kind.ROLLBACK]
    try:
        ends = site.ends[::-1] if back else site.ends
        labels = [site.run.plan.label(capture.cell.kernel) for capture in ends]
        return passages(labels[0], labels[1], moves(*ends))
    except NotObserved:
        return ()


def _layout(capture: Capture | None) -> Layout:
    """Return how the new kernel's guest reads sizes; the usual one where nobody looked."""
    view = guest(capture) if capture else None
    return Layout.of((view.value("ID_AA64MMFR2_EL1") if view else 0) or 0)
