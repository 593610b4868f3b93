"""What becomes of VMs that move, for readers: in sentences, and as a table of VMMs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ccsight.checks.migration import Moved, moves
from ccsight.checks.registry import NotObserved
from ccsight.evidence.cases import Case, Finding, PlannedCase
from ccsight.evidence.views import Cell
from ccsight.kvm.vmms import VMMS, Outcome
from ccsight.report.model import Result

#: The checks whose cases are about VMs that move: from the old kernel to the new one, and back.
UPGRADE, ROLL_BACK = "CR-007", "CR-008"
_TONES = {
    Outcome.REFUSED: "bad",
    Outcome.LOSSY: "bad",
    Outcome.VISIBLE: "caution",
    Outcome.TRANSPARENT: "good",
}
_NAMES = [vmm.name for vmm in VMMS]


@dataclass(frozen=True)
class Journey:
    """One way between two kernels of a machine: how VMs were launched, and what becomes of them."""

    source: str
    destination: str
    moved: Moved

    @property
    def how(self) -> str:
        """How the VM was launched, and where it arrived, in words."""
        return self.moved.how

    @property
    def cells(self) -> tuple[tuple[Outcome, str, str], ...]:
        """The outcome with each VMM, why, and the tone in which a page says it."""
        return tuple((outcome, why, _TONES[outcome]) for outcome, why in self.moved.outcomes.values())


def boots(cells: Sequence[Cell], cases: Iterable[PlannedCase]) -> int:
    """Return how many boots a plan takes: a cell is booted again for VMs of kernels behind its own."""
    return len(cells) + len({case.cells[0] for case in cases if case.check == ROLL_BACK})


def journeys(result: Result, machine: str) -> tuple[Journey, ...]:
    """Return every way between kernels on a machine on which VMs were restored, upgrades first."""
    found: list[Journey] = []
    for check in (UPGRADE, ROLL_BACK):
        for case in result.cases_of(machine):
            if case.check == check:
                found += _journeys(result, case)
    return tuple(found)


def _journeys(result: Result, case: Case) -> Iterator[Journey]:
    captures = [result.captures.get(cell) for cell in case.cells]
    labels = [result.plan.label(result.cell(cell).kernel) for cell in case.cells]
    if case.check == ROLL_BACK:
        captures.reverse()
        labels.reverse()
    source, destination = captures
    if source is None or destination is None:
        return
    try:
        for moved in moves(source, destination):
            yield Journey(labels[0], labels[1], moved)
    except NotObserved:
        return  # the case says so itself


def sentences(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return what the findings of a case say of each strategy: who refuses, and what happens elsewhere."""
    verdicts = [finding for finding in findings if finding.subject in _NAMES]
    said: dict[tuple[str, ...], list[str]] = {}
    for strategy in dict.fromkeys(finding.where for finding in verdicts):
        own = [finding for finding in verdicts if finding.where == strategy]
        said.setdefault(tuple(_of_strategy(own)), []).append(strategy)
    return tuple(
        f"{', and '.join(strategies)}: {part}" for parts, strategies in said.items() for part in parts
    )


def _of_strategy(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield a sentence for each outcome; of many reasons to refuse, that of the VMM which wants all."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.said.partition(":")[0], []).append(finding)
    for outcome, group in groups.items():
        why = group[-1].said.partition(": ")[2]
        names = ", ".join(finding.subject for finding in group) if len(groups) > 1 else "every VMM"
        yield f"{outcome} with {names}{': ' if why else ''}{why}"
