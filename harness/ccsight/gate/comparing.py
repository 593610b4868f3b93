"""What comparisons hold against the new kernel: how VMs fare that move, what is not as with the old one."""

from collections.abc import Callable, Iterator, Mapping

from ccsight.checks.migration import Moved, moves
from ccsight.checks.registry import NotObserved
from ccsight.checks.verdict import judged as verdict
from ccsight.evidence.cases import Case, PlannedCase
from ccsight.evidence.decision import Kind
from ccsight.evidence.model import Capture
from ccsight.evidence.views import Cell
from ccsight.gate import facts
from ccsight.gate.facts import Fact
from ccsight.gate.log import Log
from ccsight.gate.policy import Demand, Policy
from ccsight.gate.seen import Judged
from ccsight.gate.site import Site, observe
from ccsight.kvm.vmms import Outcome
from ccsight.status import Status

#: Which check tells how VMs fare on which way.
WAYS = {Kind.UPGRADE: "CR-007", Kind.ROLLBACK: "CR-008"}
LAUNCH = "CR-009"
#: Which one compares both kernels in what a launch shows, and what of that is held against the new one.
COMPARED: Mapping[Kind, tuple[str, Callable[[Case, Demand, tuple[Capture, Capture]], tuple[Fact, ...]]]] = {
    Kind.LAUNCH: (LAUNCH, facts.of_case),
    Kind.REGISTERS: ("CR-014", facts.of_lists),
    Kind.LAYOUT: ("CR-015", facts.of_case),
}
#: VMs that go from one machine to another one.
CROSSING = "CR-020"


def comparisons(site: Site, policy: Policy, log: Log) -> Iterator[Judged]:
    """Yield all that a policy asks for of a machine's two kernels, or of other machines."""
    yield from (_way(site, kind, policy, log) for kind in WAYS if policy.asks(kind))
    yield from (_compared(site, kind, policy, log) for kind in COMPARED if policy.asks(kind))
    if policy.asks(Kind.CROSSING):
        yield from _crossings(site, policy, log)


def safely(kind: Kind, name: str, check: str, judge: Callable[[], Judged]) -> Judged:
    """Return a judgement; a check that breaks on what it is given has judged nothing."""
    try:
        return judge()
    except NotObserved as error:
        return Judged(kind, name, check, missed=error.fact)
    except Exception as error:
        # Evidence may have been altered in ways that no check thought of: ERROR, as of any code of ours.
        return Judged(
            kind, name, check, missed=f"{name} breaks on this evidence: {type(error).__name__}: {error}"
        )


def _way(site: Site, kind: Kind, policy: Policy, log: Log) -> Judged:
    def judge() -> Judged:
        ends = site.ends if kind is Kind.UPGRADE else site.ends[::-1]
        found = moves(*ends)
        case = Case(check=check, cells=site.pair, status=Status.DONE, outcome=_worst(found))
        held = facts.of_moves(found, (ends[0], ends[1]), policy.demands[kind])
        return Judged(kind, check, check, held, denied=log.denies(case), unlogged=log.lacks(case))

    check = WAYS[kind]
    return safely(kind, check, check, judge)


def _worst(found: tuple[Moved, ...]) -> str:
    order = list(Outcome)
    return str(min((moved.worst for moved in found), key=order.index))


def _compared(site: Site, kind: Kind, policy: Policy, log: Log) -> Judged:
    def judge() -> Judged:
        old, new = site.ends
        case = verdict(PlannedCase(check=check, cells=site.pair), site.captures, site.failures)
        if case.status is not Status.DONE:
            raise NotObserved(case.reason)
        held = of(case, policy.demands[kind], (old, new))
        return Judged(kind, check, check, held, denied=log.denies(case), unlogged=log.lacks(case))

    check, of = COMPARED[kind]
    return safely(kind, check, check, judge)


def _crossings(site: Site, policy: Policy, log: Log) -> Iterator[Judged]:
    """Yield how VMs fare that come here from other machines, where one of both kernels is the new one."""
    cells = {cell.id: cell for cell in site.run.plan.cells}
    none = "no VM was moved here from another machine: ccsight compare --across"
    kernels = [cell.kernel for cell in (site.old, site.new) if cell]
    found = False
    for here in filter(None, (site.old, site.new)):
        for planned in log.planned.get(here.id, []):
            there = cells[planned.cells[0]]
            new = site.new.kernel in (there.kernel, here.kernel)
            if planned.check == CROSSING and new and there.kernel in kernels:
                found = True
                yield _crossing(site, (there, here), policy, log)
    if not found:
        yield Judged(Kind.CROSSING, CROSSING, CROSSING, missed=none)


def _crossing(site: Site, way: tuple[Cell, Cell], policy: Policy, log: Log) -> Judged:
    def judge() -> Judged:
        ends = site.shown_of(way[1]), observe(site.run, None, way[0]).shown
        found = moves(ends[1], ends[0])
        case = Case(check=CROSSING, cells=(way[0].id, way[1].id), status=Status.DONE, outcome=_worst(found))
        held = facts.of_moves(found, (ends[1], ends[0]), policy.demands[Kind.CROSSING])
        denied, unlogged = log.denies(case), log.lacks(case)
        return Judged(Kind.CROSSING, name, CROSSING, held, denied=denied, unlogged=unlogged)

    name = f"{way[0].title} → {way[1].title}"
    return safely(Kind.CROSSING, name, CROSSING, judge)
