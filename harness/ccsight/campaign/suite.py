"""A run as the pytest suites see it: planned once, its cells booted on demand, its cases judged."""

from argparse import Namespace
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from ccsight.campaign.cell import CellTask, capture_cell
from ccsight.campaign.compare import SET_UP_SECONDS, Request, pinned_kernels, start
from ccsight.campaign.execute import judged
from ccsight.campaign.planning import DEFAULT_KERNELS, DEFAULT_MACHINES
from ccsight.deadline import Deadline
from ccsight.evidence.cases import Case, PlannedCase
from ccsight.evidence.run import Failure, Run, find_run
from ccsight.kernels.model import Kernel
from ccsight.store import entry


class Suite:
    """One run's plan and folder; ``may_boot`` tells machines from an evidence folder."""

    def __init__(self, run: Run, *, may_boot: bool) -> None:
        self.run = run
        self.may_boot = may_boot

    def planned(self) -> tuple[PlannedCase, ...]:
        """Return the plan's cases; the same in every worker."""
        return self.run.plan.cases

    def title(self, planned: PlannedCase) -> str:
        """Return what a case is about in words: machine and kernels."""
        cells = [cell for cell in self.run.plan.cells if cell.id in planned.cells]
        return f"{cells[0].machine} {' to '.join(cell.kernel for cell in cells)}"

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


def suite_of(options: Namespace, session: str) -> Suite:
    """Return the suite that pytest's options ask for; processes of one ``session`` share one run.

    Raises UsageError or InfraError as ``ccsight compare`` does.
    """
    if options.evidence:
        return Suite(find_run(Path(options.results), options.evidence), may_boot=False)
    if not session:
        return Suite(_start(options), may_boot=True)

    def fill(folder: Path) -> None:
        (folder / "run").write_text(str(_start(options).folder.absolute()))

    shared = entry("sessions", session, fill, Deadline(SET_UP_SECONDS))
    return Suite(Run.open(Path((shared / "run").read_text())), may_boot=True)


def _start(options: Namespace) -> Run:
    kernels = (options.old or DEFAULT_KERNELS[0], options.new or DEFAULT_KERNELS[1])
    machines = tuple(options.on or DEFAULT_MACHINES)
    again = ["pytest", "suites/launch", "--old", kernels[0], "--new", kernels[1]]
    for machine in machines:
        again += ["--on", machine]
    return start(Path(options.results), Request(kernels, machines, tuple(again)))
