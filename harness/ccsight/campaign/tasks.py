"""What an executor is given: tasks, some of which wait for others; and which of them a run still lacks."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from ccsight.campaign.cell import CELL_SECONDS, CellTask
from ccsight.campaign.migrating import sources
from ccsight.campaign.restoring import SOURCE_SECONDS, RestoreTask, lacking
from ccsight.evidence.failure import Failure
from ccsight.evidence.run import Run
from ccsight.evidence.views import Cell
from ccsight.kernels.model import Kernel
from ccsight.machines.model import Report
from ccsight.status import Status


class Task(Protocol):
    """A boot of a cell, for whatever; it travels to a worker."""

    @property
    def key(self) -> str:
        """A name that no other task of the run has."""
        ...

    @property
    def cell(self) -> Cell:
        """Which cell it is about."""
        ...

    @property
    def after(self) -> frozenset[str]:
        """The keys of the tasks that must have ended before, however they did."""
        ...

    def carry_out(self, report: Report) -> Failure | None:
        """Do it, unless the run has it already; return why it could not be done, or None."""
        ...


def tasks(run: Run, kernels: Mapping[str, Kernel]) -> Iterator[Task]:
    """Yield what a run lacks: captures in the plan's order, then the boots for VMs that came later."""
    for cell in run.plan.cells:
        if not complete(run, cell):
            yield capture_task(run, cell, kernels[cell.kernel])
    for cell in run.plan.cells:
        _, later = sources(run.plan, cell)
        if later or lacking(run, cell):
            yield restore_task(run, cell, kernels[cell.kernel])


def capture_task(run: Run, cell: Cell, kernel: Kernel) -> CellTask:
    """Return the task that captures a cell, once more where it was tried already."""
    before, _ = sources(run.plan, cell)
    seconds = CELL_SECONDS + SOURCE_SECONDS * len(before)
    after = frozenset(other.id for other in before)
    return CellTask(run.folder, cell, kernel, seconds, boot=run.last_boot(cell) + 1, after=after)


def restore_task(run: Run, cell: Cell, kernel: Kernel) -> RestoreTask:
    """Return the task that restores on a cell what was not there when it was captured."""
    others = (other for group in sources(run.plan, cell) for other in group)
    return RestoreTask(run.folder, cell, kernel, frozenset(other.id for other in (cell, *others)))


def complete(run: Run, cell: Cell) -> bool:
    """Tell whether another boot of a cell could say no more; it could where infrastructure was in the way."""
    capture = run.capture(cell)
    if capture:
        arrivals = run.arrivals(cell)
        of_arrivals = arrivals.failures if arrivals else {}
        own = [failure for name, failure in capture.failures.items() if name not in of_arrivals]
        return Status.MISS not in {failure.status for failure in own}
    boots = run.boots(cell)
    return bool(boots and boots.convicts)
