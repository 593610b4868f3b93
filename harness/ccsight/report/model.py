"""What every projection is given: the plan, the judgements and the evidence of one run."""

from dataclasses import dataclass, field
from pathlib import Path

from ccsight.checks.verdict import judged
from ccsight.errors import EvidenceError
from ccsight.evidence.cases import Case
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import Capture, Cell
from ccsight.evidence.run import Plan, Run
from ccsight.status import Status, summarise


@dataclass(frozen=True)
class Result:
    """A run as it can be read back from its folder; ``captures`` and ``failures`` go by cell id."""

    plan: Plan
    folder: Path
    cases: tuple[Case, ...]
    captures: dict[str, Capture]
    failures: dict[str, Failure] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        """The worst status of all planned cases."""
        return summarise(case.status for case in self.cases)

    def cell(self, cell_id: str) -> Cell:
        """Return a planned cell by its id."""
        return next(cell for cell in self.plan.cells if cell.id == cell_id)

    def capture(self, machine: str, kernel: str) -> Capture | None:
        """Return what a machine showed under a kernel, by their specs; None where nothing was observed."""
        return self.captures.get(self.plan.cell(machine, kernel).id)

    def unobserved(self, machine: str) -> tuple[tuple[Cell, Failure], ...]:
        """Return the cells of a machine that have no capture, each with the reason."""
        lost = [cell for cell in self.plan.cells if cell.machine == machine and cell.id not in self.captures]
        return tuple((cell, self.failures.get(cell.id, self._never_ran())) for cell in lost)

    def _never_ran(self) -> Failure:
        return Failure(
            status=Status.MISS,
            fact="it never ran: the run was interrupted",
            next_step=f"ccsight compare --resume {self.folder}",
        )

    def cases_of(self, machine: str) -> tuple[Case, ...]:
        """Return a machine's cases, in the plan's order; one about two machines is the second one's."""
        return tuple(case for case in self.cases if self.cell(case.cells[-1]).machine == machine)

    @classmethod
    def of(cls, run: Run) -> "Result":
        """Read a run's folder and judge it; evidence that cannot be read is ERROR for its cell."""
        captures: dict[str, Capture] = {}
        failures: dict[str, Failure] = {}
        for cell in run.plan.cells:
            try:
                capture, failure = run.capture(cell), run.failure(cell)
            except EvidenceError as error:
                capture, failure = None, Failure.of(error)
            captures |= {cell.id: capture} if capture else {}
            failures |= {cell.id: failure} if failure else {}
        cases = tuple(judged(planned, captures, failures) for planned in run.plan.cases)
        return cls(plan=run.plan, folder=run.folder, cases=cases, captures=captures, failures=failures)
