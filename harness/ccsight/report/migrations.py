"""What becomes of VMs that move, for readers: in sentences, and as a table of VMMs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ccsight.checks.migration import Moved, moves
from ccsight.checks.registry import NotObserved
from ccsight.evidence.cases import Case, Finding, PlannedCase
from ccsight.evidence.views import Cell
from ccsight.kvm.vmms import VMMS, Outcome
from ccsight.report.model import Result

#: The checks whose cases are about VMs that move: from the old kernel to the new one, back, ...
UPGRADE, ROLL_BACK = "CR-007", "CR-008"
#: ... and from one machine to another, which have a place of their own.
ACROSS = "CR-020"
_TONES = {
    Outcome.REFUSED: "bad",
    Outcome.LOSSY: "bad",
    Outcome.VISIBLE: "caution",
    Outcome.TRANSPARENT: "good",
}
_NAMES = [vmm.name for vmm in VMMS]


@dataclass(frozen=True)
class Journey:
    """One way between two cells: how VMs were launched, and what becomes of them.

    ``source`` and ``destination`` are what people call the kernels; ``machines`` has those of both.
    """

    source: str
    destination: str
    moved: Moved
    machines: tuple[str, str]

    @property
    def way(self) -> str:
        """From where it goes to where, in words: kernels, and machines where those are two."""
        one, other = (f"{machine}  " if len(set(self.machines)) > 1 else "" for machine in self.machines)
        return f"{one}{self.source} → {other}{self.destination}"

    @property
    def how(self) -> str:
        """How the VM was launched, and where it arrived, in words."""
        return self.moved.how

    @property
    def cells(self) -> tuple[tuple[Outcome, str, str], ...]:
        """The outcome with each VMM, why, and the tone in which a page says it."""
        return tuple((outcome, why, _TONES[outcome]) for outcome, why in self.moved.outcomes.values())


def boots(cells: Sequence[Cell], cases: Iterable[PlannedCase]) -> int:
    """Return how many boots a plan takes: a cell is booted again for VMs that were not there yet.

    Those of kernels behind its own, and of other machines; the last cell waits for all of them.
    """
    found = tuple(cases)
    again = {case.cells[0] for case in found if case.check == ROLL_BACK}
    again |= {case.cells[1] for case in found if case.check == ACROSS} - {cells[-1].id}
    return len(cells) + len(again)


def journeys(result: Result, machine: str) -> tuple[Journey, ...]:
    """Return every way between kernels on a machine on which VMs were restored, upgrades first."""
    cases = result.cases_of(machine)
    ordered = [case for check in (UPGRADE, ROLL_BACK) for case in cases if case.check == check]
    return tuple(journey for case in ordered for journey in of_case(result, case))


def arrivals(result: Result, machine: str = "") -> tuple[Journey, ...]:
    """Return every way from one machine to another; to this one, where one is named."""
    cases = result.cases_of(machine) if machine else result.cases
    crossings = [case for case in cases if case.check == ACROSS]
    return tuple(journey for case in crossings for journey in of_case(result, case))


def of_case(result: Result, case: Case) -> tuple[Journey, ...]:
    """Return the ways that a case is about; none where it was not observed, which the case says itself."""
    return tuple(_journeys(result, case))


def _journeys(result: Result, case: Case) -> Iterator[Journey]:
    captures = [result.captures.get(cell) for cell in case.cells]
    cells = [result.cell(cell) for cell in case.cells]
    if case.check == ROLL_BACK:
        captures.reverse()
        cells.reverse()
    labels = [result.plan.label(cell.kernel) for cell in cells]
    source, destination = captures
    if source is None or destination is None:
        return
    try:
        for moved in moves(source, destination):
            yield Journey(labels[0], labels[1], moved, (cells[0].machine, cells[1].machine))
    except NotObserved:
        return  # the case says so itself


def sentences(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return what decides a case, for each strategy: why it is refused, and what a guest notices elsewhere.

    Who refuses is in the table of VMMs.
    """
    verdicts = [finding for finding in findings if finding.subject in _NAMES]
    said: dict[tuple[str, ...], list[str]] = {}
    for strategy in dict.fromkeys(finding.where for finding in verdicts):
        own = [finding for finding in verdicts if finding.where == strategy]
        said.setdefault(tuple(_of_strategy(own)), []).append(strategy)
    return tuple(f"{' · '.join(strategies)}: {part}" for parts, strategies in said.items() for part in parts)


def _of_strategy(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield a sentence for each outcome; of many reasons to refuse, that of the VMM which wants all.

    Where others refuse, what a VMM loses that ignores errors is what they refuse: once is enough.
    """
    reasons = {outcome: why for outcome, _, why in (finding.said.partition(": ") for finding in findings)}
    if Outcome.REFUSED in reasons:
        reasons.pop(Outcome.LOSSY, None)
    for outcome, why in reasons.items():
        yield f"{outcome}{', ' if why else ''}{why}"
