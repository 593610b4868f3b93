"""A run as the pytest suites see it: planned once, its cells booted on demand, its cases judged."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from ccsight.campaign import depths
from ccsight.campaign.cell import CellTask
from ccsight.campaign.compare import SET_UP_SECONDS, Request, pinned_kernels, start
from ccsight.campaign.depths import DEPTH_OPTIONS
from ccsight.campaign.migrating import sources
from ccsight.campaign.planning import DEFAULT_KERNELS, DEFAULT_MACHINES
from ccsight.campaign.tasks import restore_task
from ccsight.checks import COMPARISONS, CROSSINGS
from ccsight.checks.verdict import judged
from ccsight.deadline import Deadline
from ccsight.evidence.cases import Case, PlannedCase
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import Capture
from ccsight.evidence.plan import USUAL
from ccsight.evidence.run import Run, find_run
from ccsight.evidence.views import Cell
from ccsight.kernels.model import Kernel
from ccsight.machines import silicon
from ccsight.scratch import Scratch
from ccsight.store import locked, write_atomically

#: In the folder that the workers of a session share: the path of their run.
_POINTER = "run"
#: Captures that a session keeps: of a usual run all, of a big one not its memory's worth.
_KEPT = 32
#: Whose tests name the checks.
_SUITES = ("suites/launch", "suites/asymmetry", "suites/userspace", "suites/reset")
#: The tests of what is observed unless it is not asked for.
_MIGRATION_SUITE = "suites/migration"


class Suite:
    """One run's plan and folder; ``may_boot`` tells machines from an evidence folder."""

    def __init__(self, run: Run, *, may_boot: bool) -> None:
        self.run = run
        self.may_boot = may_boot
        self._read: dict[str, Capture | None] = {}

    def planned(self) -> tuple[PlannedCase, ...]:
        """Return the plan's cases; the same in every worker."""
        return self.run.plan.cases

    def title(self, planned: PlannedCase) -> str:
        """Return what a case is about in words: machine and kernels."""
        cells = [cell for cell in self.run.plan.cells if cell.id in planned.cells]
        if planned.check in CROSSINGS:
            by_id = {cell.id: cell.title for cell in cells}
            return " to ".join(by_id[cell] for cell in planned.cells)
        machines = dict.fromkeys(cell.machine for cell in cells)
        kernels = dict.fromkeys(cell.kernel for cell in cells)
        return f"{' and '.join(machines)} {' to '.join(kernels)}"

    @cached_property
    def _kernels(self) -> Mapping[str, Kernel]:
        return pinned_kernels(self.run.plan)

    def verdict(self, planned: PlannedCase) -> Case:
        """Judge a planned case, booting its cells if nobody has yet, and write the verdict down."""
        cells = [cell for cell in self.run.plan.cells if cell.id in planned.cells]
        failures: dict[str, Failure | None] = {cell.id: self.run.failure(cell) for cell in cells}
        if self.may_boot:
            failures |= self._boot(cells, restored=len(cells) > 1 and self._moves(planned))
        captures = {cell.id: self._capture(cell) for cell in cells}
        boots = {cell.id: self.run.boots(cell) for cell in cells}
        case = judged(planned, captures, failures, boots)
        if self.may_boot:
            self.run.append(case)
        return case

    def _capture(self, cell: Cell) -> Capture | None:
        """Return a cell's capture; that of a run that nobody adds to is read once while others ask for it."""
        if self.may_boot:
            return self.run.capture(cell)
        if cell.id not in self._read:
            if len(self._read) == _KEPT:
                del self._read[next(iter(self._read))]
            self._read[cell.id] = self.run.capture(cell)
        return self._read[cell.id]

    def _moves(self, planned: PlannedCase) -> bool:
        check = (COMPARISONS | CROSSINGS).get(planned.check)
        return check is not None and check.program != ""

    def _boot(self, cells: Sequence[Cell], *, restored: bool) -> dict[str, Failure | None]:
        """Boot what nobody has yet: first cells whose VMs others take, at last for VMs that come later."""
        failures: dict[str, Failure | None] = {}
        for cell in cells:
            before, later = sources(self.run.plan, cell)
            for each in (*before, cell, *(later if restored else ())):
                task = CellTask(self.run.folder, each, self._kernels[each.kernel])
                failures[each.id] = task.carry_out(lambda stage: None)
        for cell in cells if restored else ():
            restore_task(self.run, cell, self._kernels[cell.kernel]).carry_out(lambda stage: None)
        return failures


def suite_of(options: Namespace, shared: Path | None) -> Suite:
    """Return the suite that pytest's options ask for; processes with one ``shared`` folder share one run.

    Raises UsageError or InfraError as ``ccsight compare`` does.
    """
    if options.evidence:
        return Suite(find_run(Path(options.results), options.evidence), may_boot=False)
    if shared is None:
        return Suite(_start(options), may_boot=True)
    with locked(shared / _POINTER, Deadline(SET_UP_SECONDS)):
        if not (shared / _POINTER).exists():
            write_atomically(shared / _POINTER, str(_start(options).folder.absolute()).encode())
    return Suite(Run.open(Path((shared / _POINTER).read_text())), may_boot=True)


def made_by(suite: Suite | None, shared: Scratch | None) -> Run | None:
    """Return the run that a session made, or None where it made none: its own, or its workers'."""
    if suite is not None:
        return suite.run if suite.may_boot else None
    pointer = Path(shared.name) / _POINTER if shared else None
    return Run.open(Path(pointer.read_text())) if pointer and pointer.exists() else None


def _start(options: Namespace) -> Run:
    kernels = (options.old or DEFAULT_KERNELS[0], options.new or DEFAULT_KERNELS[1])
    machines = tuple(options.on or DEFAULT_MACHINES)
    depth = depths.depth(vars(options), DEPTH_OPTIONS, USUAL)
    suites = [option.suite for option in DEPTH_OPTIONS if option.suite and option.words(depth)]
    suites += [_MIGRATION_SUITE] if depth.migrate else []
    again = ["pytest", *_SUITES, *suites, "--old", kernels[0], "--new", kernels[1]]
    for machine in machines:
        again += ["--on", machine]
    again += ["--silicon", options.silicon] if options.silicon else []
    again += depths.words(depth)
    table = silicon.load(Path(options.silicon) if options.silicon else None)
    request = Request(kernels, machines, tuple(again), table, depth)
    run, _ = start(Path(options.results), request)
    return run
