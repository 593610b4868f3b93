"""The runs that rows share: a kernel boots once on its machine, however many rows and workers there are."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from controls import Control

from ccsight.campaign.cell import CellTask, capture_cell
from ccsight.campaign.compare import SET_UP_SECONDS, Request, pinned_kernels, start
from ccsight.campaign.tasks import restore_task
from ccsight.checks import TRIALS, judge
from ccsight.checks.verdict import judged
from ccsight.deadline import Deadline
from ccsight.evidence.cases import Case, PlannedCase
from ccsight.evidence.model import Capture
from ccsight.evidence.plan import Depth
from ccsight.evidence.run import Run
from ccsight.evidence.views import Cell
from ccsight.machines import silicon
from ccsight.store import locked, write_atomically


def planned(folder: Path, rows: Iterable[Control], depth: Depth) -> "Bench":
    """Return the run of some rows, which is planned in a folder by the first worker that asks."""
    folder.mkdir(exist_ok=True)
    pointer = folder / "run"
    with locked(pointer, Deadline(SET_UP_SECONDS)):
        if not pointer.exists():
            kernels = dict.fromkeys(kernel for row in rows for kernel in (row.base, row.patched))
            machines = dict.fromkeys(name for row in rows for name in (row.machine, row.twin) if name)
            again = ("pytest", "suites/control")
            order = Request(tuple(kernels), tuple(machines), again, silicon.load(None), depth)
            run, _ = start(folder / "results", order)
            write_atomically(pointer, str(run.folder).encode())
    return Bench(Run.open(Path(pointer.read_text())))


class Bench:
    """A run, whose cells boot when they are first asked for."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._captures: dict[str, Capture] = {}

    @cached_property
    def _kernels(self):
        return pinned_kernels(self.run.plan)

    def capture(self, cell: Cell) -> Capture:
        """Return what a cell showed, booting it if nobody has yet."""
        if cell.id not in self._captures:
            task = CellTask(self.run.folder, cell, self._kernels[cell.kernel])
            failure = capture_cell(task, lambda stage: None)
            assert failure is None, f"{cell.title}: {failure}"
            found = self.run.capture(cell)
            assert found is not None
            self._captures[cell.id] = found
        return self._captures[cell.id]

    def judge(self, check: str, *cells: Cell) -> Case:
        """Return a check's verdict on cells."""
        planned = PlannedCase(check=check, cells=tuple(cell.id for cell in cells))
        return judge(planned, tuple(self.capture(cell) for cell in cells))

    def tried(self, check: str, cell: Cell) -> Case:
        """Return a check's verdict on a cell whose kernel may not come up."""
        capture_cell(CellTask(self.run.folder, cell, self._kernels[cell.kernel]), lambda stage: None)
        seen = [{cell.id: read(cell)} for read in (self.run.capture, self.run.failure, self.run.boots)]
        return judged(PlannedCase(check=check, cells=(cell.id,)), *seen)

    def laws(self, cell: Cell) -> dict[str, Case]:
        """Return the verdicts of all laws that the run has planned for a cell."""
        own = [case.check for case in self.run.plan.cases if case.cells == (cell.id,)]
        return {check: self.judge(check, cell) for check in own if check not in TRIALS}

    def go_back(self, cell: Cell) -> None:
        """Boot a cell again where VMs were saved that it had no part in yet: those of patched kernels."""
        if self.run.plan.depth.migrate:
            failure = restore_task(self.run, cell, self._kernels[cell.kernel]).carry_out(lambda stage: None)
            assert failure is None, f"{cell.title}: {failure}"
            self._captures.pop(cell.id, None)
