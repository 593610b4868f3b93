"""A run as the pytest suites see it: planned once, its cells booted on demand, its cases judged."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from ccsight.campaign.cell import CellTask, capture_cell
from ccsight.campaign.compare import Request, pinned_kernels, start
from ccsight.campaign.execute import judged
from ccsight.campaign.planning import DEFAULT_KERNELS, DEFAULT_MACHINES
from ccsight.evidence.cases import Case, PlannedCase
from ccsight.evidence.run import Failure, Run, find_run
from ccsight.kernels.model import Kernel


class Suite:
    """One run's plan and folder; ``may_boot`` tells machines from an evidence folder."""

    def __init__(self, run: Run, *, may_boot: bool) -> None:
        self.run = run
        self.may_boot = may_boot

    @classmethod
    def start(cls, results: Path, *, old: str | None, new: str | None, machines: list[str] | None) -> "Suite":
        """Plan a new run. Raises UsageError or InfraError as ``ccsight compare`` does."""
        kernels = (old or DEFAULT_KERNELS[0], new or DEFAULT_KERNELS[1])
        on = tuple(machines or DEFAULT_MACHINES)
        again = ("pytest", "--old", kernels[0], "--new", kernels[1])
        return cls(start(results, Request(kernels, on, again)), may_boot=True)

    @classmethod
    def open(cls, folder: Path, *, may_boot: bool) -> "Suite":
        """Open a run that is there."""
        return cls(find_run(folder.parent, str(folder)), may_boot=may_boot)

    def planned(self) -> tuple[PlannedCase, ...]:
        """Return the plan's cases; the same in every worker."""
        return self.run.plan.cases

    @cached_property
    def _kernels(self) -> Mapping[str, Kernel]:
        return pinned_kernels(self.run.plan)

    def verdict(self, planned: PlannedCase) -> Case:
        """Judge a planned case, booting its cells if nobody has yet, and write the verdict down."""
        failures: dict[str, Failure | None] = {}
        cells = [cell for cell in self.run.plan.cells if cell.id in planned.cells]
        if self.may_boot:
            for cell in cells:
                task = CellTask(self.run.folder, cell, self._kernels[cell.kernel])
                failures[cell.id] = capture_cell(task, lambda stage: None)
        captures = {cell.id: self.run.capture(cell) for cell in cells}
        case = judged(planned, captures, failures)
        if self.may_boot:
            self.run.append(case)
        return case
