"""What every projection is given: the plan, the judgements and the evidence of one run."""

import shlex
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from msgspec import structs

from ccsight.checks.verdict import judged
from ccsight.errors import EvidenceError
from ccsight.evidence.boots import Boots
from ccsight.evidence.bundle import origin, shown
from ccsight.evidence.cases import Case
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import Capture
from ccsight.evidence.plan import Plan
from ccsight.evidence.run import Run
from ccsight.evidence.views import Cell
from ccsight.status import Status, summarise


@dataclass(frozen=True)
class Result:
    """A run as it can be read back from its folder; evidence goes by cell id.

    ``boots`` are those of kernels that did not come up, with their base for a control.
    """

    plan: Plan
    folder: Path
    cases: tuple[Case, ...]
    captures: dict[str, Capture]
    failures: dict[str, Failure] = field(default_factory=dict)
    boots: dict[str, Boots] = field(default_factory=dict)

    @property
    def statuses(self) -> tuple[Status, ...]:
        """How the planned cases ended, and the programs that saw nothing: no law may have missed them."""
        failures = [failure for capture in self.captures.values() for failure in capture.failures.values()]
        return (*(case.status for case in self.cases), *(failure.status for failure in failures))

    @property
    def status(self) -> Status:
        """The worst of them."""
        return summarise(self.statuses)

    def cell(self, cell_id: str) -> Cell:
        """Return a planned cell by its id."""
        return self._cells[cell_id]

    @cached_property
    def _cells(self) -> dict[str, Cell]:
        return {cell.id: cell for cell in self.plan.cells}

    def capture(self, machine: str, kernel: str) -> Capture | None:
        """Return what a machine showed under a kernel, by their specs; None where nothing was observed."""
        return self.captures.get(self.plan.cell(machine, kernel).id)

    def unobserved(self, machine: str) -> tuple[tuple[Cell, Failure], ...]:
        """Return the cells of a machine that have no capture, each with the reason."""
        lost = [cell for cell in self.plan.cells if cell.machine == machine and cell.id not in self.captures]
        return tuple((cell, self.failures.get(cell.id, self._never_ran())) for cell in lost)

    def incomplete(self, machine: str) -> tuple[tuple[Cell, str, Failure], ...]:
        """Return the programs that saw nothing in a cell where others did, each with the reason."""
        captures = [self.captures.get(cell.id) for cell in self.plan.cells if cell.machine == machine]
        return tuple(
            (capture.cell, program, self._mended(failure))
            for capture in captures
            if capture
            for program, failure in capture.failures.items()
        )

    def _mended(self, failure: Failure) -> Failure:
        """Return a failure with what to do about it: infrastructure may be better at a second try."""
        if failure.next_step or failure.status is not Status.MISS:
            return failure
        return structs.replace(failure, next_step=self._resume)

    @property
    def _resume(self) -> str:
        begun_anew = bool(origin(self.folder))  # nothing is written into a bundle
        return shlex.join(self.plan.argv) if begun_anew else f"ccsight compare --resume {self.folder}"

    def _never_ran(self) -> Failure:
        return Failure(
            status=Status.MISS, fact="it never ran: the run was interrupted", next_step=self._resume
        )

    def evidence(self, cell: Cell) -> Path:
        """Return the file that a cell's verdicts are made of, as people name it."""
        run = Run(self.folder, self.plan)
        name = "boots.json" if cell.id in self.boots and cell.id not in self.captures else "capture.json"
        return shown(run.boot_folder(cell, run.boot(cell)) / name)

    def console(self, cell: Cell) -> Path:
        """Return the console of the boot that counts."""
        run = Run(self.folder, self.plan)
        return run.console(cell, run.boot(cell))

    def cases_of(self, machine: str) -> tuple[Case, ...]:
        """Return a machine's cases, in the plan's order; one about two machines is the second one's."""
        return tuple(self._cases.get(machine, ()))

    @cached_property
    def _cases(self) -> dict[str, list[Case]]:
        found: dict[str, list[Case]] = {}
        for case in self.cases:
            found.setdefault(self.cell(case.cells[-1]).machine, []).append(case)
        return found

    @classmethod
    def of(cls, run: Run) -> "Result":
        """Read a run's folder and judge it; evidence that cannot be read is ERROR for its cell."""
        captures: dict[str, Capture] = {}
        failures: dict[str, Failure] = {}
        boots: dict[str, Boots] = {}
        for cell in run.plan.cells:
            capture, failure, row = evidence_of(run, cell)
            captures |= {cell.id: capture} if capture else {}
            failures |= {cell.id: failure} if failure else {}
            boots |= {cell.id: row} if row else {}
        cases = tuple(judged(planned, captures, failures, boots) for planned in run.plan.cases)
        return cls(run.plan, run.folder, cases, captures, failures, boots)


def evidence_of(run: Run, cell: Cell) -> tuple[Capture | None, Failure | None, Boots | None]:
    """Return all that a run has of a cell; what cannot be read is an ERROR, and the reason why."""
    try:
        return run.capture(cell), run.failure(cell), run.boots(cell)
    except EvidenceError as error:
        return None, Failure.of(error), None
