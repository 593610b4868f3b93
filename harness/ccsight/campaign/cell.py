"""One cell: boot it, let every probe program run, write down what was seen, or why nothing was.

This is the function that an executor runs, in whatever process or machine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import asdict

from ccsight.campaign import control, migrating, programs, turns
from ccsight.campaign.booting import DidNotBoot, Start, Stopwatch, proved
from ccsight.campaign.facts import kernel_facts, machine_facts, prove_declared
from ccsight.deadline import Deadline
from ccsight.errors import CcsightError, InfraError
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import SCHEMA, Capture, Told
from ccsight.evidence.record import to_json
from ccsight.evidence.run import Run
from ccsight.evidence.views import Cell, Vantage
from ccsight.kernels.model import Kernel
from ccsight.machines import console as consoles
from ccsight.machines import registry, silicon
from ccsight.machines.model import Machine, Report

#: Seconds that one cell may take on an emulated machine, whatever happens; a boot has its own, shorter clock.
CELL_SECONDS = 180.0
#: ... and how many more where Linux guests run in it.
LINUX_SECONDS = 300.0


@dataclass(frozen=True)
class CellTask:
    """A cell to capture, and where its run lies. Travels to the worker, so everything pickles.

    ``boot`` is the number that this boot of the cell has: another one than 1 where it is repeated. ``after``
    are the keys of the tasks whose VMs it takes.
    """

    run: Path
    cell: Cell
    kernel: Kernel
    seconds: float = CELL_SECONDS
    boot: int = 1
    after: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        """A name that no other task of the run has."""
        return self.cell.id

    def carry_out(self, report: Report) -> Failure | None:
        """See :func:`capture_cell`."""
        return capture_cell(self, report)


def capture_cell(task: CellTask, report: Callable[[str], None]) -> Failure | None:
    """Capture a cell unless its run has that boot already; return why it could not be, or None.

    What a boot came to is memoised in the run's folder under a lock: however many workers ask, one boots.
    """
    run = Run.open(task.run)
    try:
        if not run.ended(task.cell, task.boot):
            _in_turn(run, task, report)
        return run.failure(task.cell, task.boot)
    except CcsightError as error:
        return Failure.of(error)


def _in_turn(run: Run, task: CellTask, report: Report) -> None:
    machine = registry.machine(task.cell.machine, silicon.table(run.plan.silicon))
    longest = _seconds(run, task, machine) + control.seconds(machine)
    with turns.turn(run, task.cell, task.cell.id, longest):
        if not run.ended(task.cell, task.boot):
            _try(run, task, machine, report)


def _try(run: Run, task: CellTask, machine: Machine, report: Report) -> None:
    """Write down what a boot of a cell said, or why it said nothing: of a patched kernel with a control."""
    start = Start(run, task.cell, machine, task.kernel, task.boot)
    try:
        _replace(run, start, _captured(start, report, Deadline(_seconds(run, task, machine))))
    except CcsightError as error:
        failure = Failure.of(error)
        if isinstance(error, DidNotBoot) and run.plan.kernel(task.cell.kernel).base:
            start.keep("boots.json", to_json(control.boots(start, failure, report)))
        start.keep("failure.json", to_json(failure))


def _seconds(run: Run, task: CellTask, machine: Machine) -> float:
    return task.seconds + (LINUX_SECONDS if run.plan.depth.linux else 0) + machine.seconds


def _replace(run: Run, start: Start, capture: Capture) -> None:
    """Put a capture into its boot's folder. Raises InfraError for one with less than the cell has already."""
    before = run.capture(start.cell)
    if before and len(capture.failures) > len(before.failures):
        raise InfraError(
            f"boot {start.boot} observed less than the one before it, whose capture stays",
            evidence="; ".join(f"{name}: {failure.fact}" for name, failure in capture.failures.items()),
            next_step="nothing is lost: --resume boots it again",
        )
    start.keep("capture.json", to_json(capture))


def _captured(start: Start, report: Report, deadline: Deadline) -> Capture:
    watch = Stopwatch(report)
    with proved(start, watch, deadline) as up:
        booted, identity = up.booted, up.identity
        # The boot's id is the seed: every boot tries other values, and the capture has it.
        moves = migrating.moves(start.run, start.cell, start.boot, identity)
        depth = start.run.plan.depth
        asked = programs.Asked(start.kernel, booted, up.probe, identity.boot_id, depth, moves)
        told = programs.observe(asked, watch.stage, deadline)
        declared, papers = booted.declared(), booted.papers()
        prove_declared(declared, tuple(view for view in told.views if view.vantage is Vantage.HARDWARE))
    for name, content in papers.items():
        start.keep(name, content)
    told = told.and_told(Told(failures=turns.not_back(start.run, start.cell)))
    # Only now: a splat may have come with the last thing that the programs did.
    console = consoles.observed(start.console, str(start.console.relative_to(start.run.folder)))
    return Capture(
        schema=SCHEMA,
        cell=start.cell,
        kernel=kernel_facts(start.cell.kernel, start.kernel, identity),
        machine=machine_facts(start.cell.machine, identity, booted, declared),
        programs=up.probe.programs,
        seconds={stage: round(spent, 3) for stage, spent in (booted.seconds | watch.seconds).items()},
        console=console,
        **asdict(told),
    )
