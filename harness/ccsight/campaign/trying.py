"""Suspects on machines: build one, boot it, ask. What comes of it is evidence; the verdict is for others.

Each step is an ordinary run, so what a killed one has seen already is there when it is tried again.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path

from msgspec.structs import replace

from ccsight.campaign import turns
from ccsight.campaign.compare import SET_UP_SECONDS, pinned_kernels, planned_kernel
from ccsight.campaign.execute import execute, judge_ready
from ccsight.campaign.planning import plan_comparison
from ccsight.campaign.pool import local_pool, tell
from ccsight.campaign.programs import PROGRAMS
from ccsight.campaign.tasks import complete, tasks
from ccsight.checks.answers import Subject, ask
from ccsight.checks.predicates import Predicate
from ccsight.deadline import Deadline
from ccsight.errors import CcsightError, UsageError
from ccsight.evidence.bisection import Look, Verdict
from ccsight.evidence.model import Capture
from ccsight.evidence.plan import Depth
from ccsight.evidence.run import Run, read_capture
from ccsight.evidence.views import Cell
from ccsight.kernels import built
from ccsight.kernels import spec as kernel_specs
from ccsight.kernels.built import BrokenByPatch
from ccsight.kernels.model import Kernel
from ccsight.kernels.watch import MakeFailed
from ccsight.machines.model import Report
from ccsight.machines.silicon import Table
from ccsight.toolbox.packages import PackageGone

#: How often a cell is booted before it counts as not observed.
ATTEMPTS = 3
#: What is a suspect's own fault: both ends were built, with the same tools.
_OWN_FAULT = (MakeFailed, BrokenByPatch, PackageGone, UsageError)
#: The programs that only run where VMs shall move.
_MOVING = frozenset({"save", "restore"})


@dataclass(frozen=True)
class Bench:
    """What is the same for all suspects. ``control`` names a kernel that boots, "" while none is known."""

    folder: Path
    predicate: Predicate
    machines: tuple[str, ...]
    table: Table
    argv: tuple[str, ...]
    repeat: int = 1
    control: str = ""
    workers: int = 1

    @property
    def in_turn(self) -> bool:
        """Whether two suspects would want the same machine: of one at least there is only one."""
        return any(map(turns.once, self.machines))


@dataclass(frozen=True)
class Tried:
    """What came of a suspect: the answers of its boots; or, with ``trouble``, why it could not be asked.

    ``pin`` names the very kernel, ``build`` is how many seconds it took to get it; ``cpu`` are the seconds of
    work in all of it.
    """

    looks: tuple[Look, ...] = ()
    trouble: Verdict | None = None
    why: str = ""
    pin: str = ""
    build: float = 0.0
    cpu: float = 0.0


@dataclass(frozen=True)
class Trial:
    """A suspect to be tried: its kernel, and a name for the folders of its runs."""

    name: str
    spec: str


def attempts(bench: Bench, trials: Sequence[Trial], report: Report) -> tuple[Tried, ...]:
    """Try suspects, all at once unless a machine that they need is there only once.

    A single one needs no process of its own.
    """
    if len(trials) == 1 or bench.in_turn:
        return tuple(attempt(bench, trial, report) for trial in trials)
    kernel = kernel_specs.parse(trials[0].spec)
    if kernel.kind in kernel_specs.SOURCES:
        with suppress(CcsightError):  # what is wrong with a source, its trial says
            built.spread(kernel, len(trials), Deadline(SET_UP_SECONDS), report)
    each = changed(bench, workers=max(1, bench.workers // len(trials)))
    with local_pool(len(trials), lambda name, said: report(said)) as pool:
        return tuple(map(_ended, [pool.submit(_attempt_in_worker, each, trial) for trial in trials]))


def _attempt_in_worker(bench: Bench, trial: Trial) -> Tried:
    return attempt(bench, trial, lambda said: tell(trial.name, said))


def _ended(trial: Future[Tried]) -> Tried:
    try:
        return trial.result()
    except BrokenProcessPool:
        return Tried(trouble=Verdict.INFRA, why="the process that tried it died")


def attempt(bench: Bench, trial: Trial, report: Report) -> Tried:
    """Build and boot a suspect and ask the predicate of it."""
    before = _cpu()
    tried = _tried(bench, trial.name, trial.spec, report)
    return changed(tried, cpu=round(_cpu() - before, 2))


def _cpu() -> float:
    """Return the CPU seconds of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


def _tried(bench: Bench, name: str, spec: str, report: Report) -> Tried:
    began = time.monotonic()
    if spec in bench.predicate.sources:
        spec += ",name=this"  # where VMs come from is another cell than where they go to
    try:
        kernel = kernel_specs.resolve(spec, Deadline(SET_UP_SECONDS), report)
    except _OWN_FAULT as error:
        return Tried(trouble=Verdict.SKIP, why=error.fact, build=time.monotonic() - began)
    except CcsightError as error:
        return Tried(trouble=Verdict.INFRA, why=error.fact, build=time.monotonic() - began)
    built = Tried(pin=kernel_specs.pin(kernel), build=time.monotonic() - began)
    looks: list[Look] = []
    for number in range(1, bench.repeat + 1):
        run, kernels = _run(bench, f"{name}.{number}" if number > 1 else name, kernel, report)
        _collect(bench, run, kernels, report)
        if _convicted(run):
            return Tried((), Verdict.SKIP, _down(run), built.pin, built.build)
        looks += _looks(bench, run)
    return Tried(tuple(looks), None, "", built.pin, built.build)


def depth(predicate: Predicate) -> Depth:
    """Return what is asked of a suspect: the programs that the predicate needs.

    No random values are written: a fault must show every time.
    """
    needed = predicate.programs
    only = tuple(program.name for program in PROGRAMS if program.name in needed)
    return Depth(
        fuzz=0,
        migrate=not only or bool(_MOVING & needed),
        linux="linux" in needed | predicate.requests,
        only=only,
    )


def _run(bench: Bench, name: str, kernel: Kernel, report: Report) -> tuple[Run, Mapping[str, Kernel]]:
    """Return the run of a step, made if it is not there, with the kernels that it boots."""
    folder = bench.folder / name
    if (folder / "run.json").is_file():
        run = Run.open(folder)
        return run, dict(pinned_kernels(run.plan))
    sources = [_resolved(spec, report) for spec in bench.predicate.sources]
    kernels = [*sources, kernel]
    planned = [planned_kernel(each) for each in kernels]
    planned[-1] = replace(planned[-1], base=bench.control)
    plan = plan_comparison(planned, bench.machines, bench.argv, bench.table.text, depth(bench.predicate))
    run = Run.create(bench.folder, replace(plan, id=name))
    return run, {each.spec.text: each for each in kernels}


def _resolved(spec: str, report: Report) -> Kernel:
    return kernel_specs.resolve(spec, Deadline(SET_UP_SECONDS), report)


def _collect(bench: Bench, run: Run, kernels: Mapping[str, Kernel], report: Report) -> None:
    """Boot what the run lacks, again where infrastructure was in the way, but on no machine that was lost."""
    turns.forget(run)
    for _ in range(ATTEMPTS):
        if all(complete(run, cell) or turns.lost(run, cell) for cell in run.plan.cells):
            break
        if len(run.plan.cells) > 1:
            execute(run, kernels, bench.workers, _Quiet(report))
            continue
        for task in tasks(run, kernels):  # one boot needs no process of its own
            task.carry_out(lambda stage: None)
    judge_ready(run, (), run.plan.cells)


@dataclass(frozen=True)
class _Quiet:
    """Who is told of a step's boots: nobody wants to know."""

    report: Report

    def stage(self, cell: str, stage: str) -> None:
        """Say nothing."""

    def done(self, cell: str, word: str, seconds: float) -> None:
        """Say nothing."""


def _suspected(run: Run) -> Iterator[Cell]:
    """Yield the cells of the suspect: the last kernel of the plan."""
    spec = run.plan.kernels[-1].spec
    yield from (cell for cell in run.plan.cells if cell.kernel == spec)


def _convicted(run: Run) -> bool:
    rows = [run.boots(cell) for cell in _suspected(run) if run.capture(cell) is None]
    return any(row is not None and row.convicts for row in rows)


def _down(run: Run) -> str:
    facts = [failure.fact for cell in _suspected(run) if (failure := run.failure(cell))]
    return f"does not boot, twice, and the good end in between does: {facts[0] if facts else ''}"


def _looks(bench: Bench, run: Run) -> Iterator[Look]:
    files = {name: read_capture(Path(name)) for name in bench.predicate.files}
    for cell in _suspected(run):
        yield _look(bench, run, cell, files)


def _look(bench: Bench, run: Run, cell: Cell, files: Mapping[str, Capture]) -> Look:
    capture = run.capture(cell)
    if capture is None:
        failure = run.failure(cell)
        why = failure.fact if failure else "it never ran"
        return Look(machine=cell.machine, run=run.folder.name, truth=None, why=why)
    sources = {
        spec: found
        for spec in bench.predicate.sources
        if (found := run.capture(Cell(machine=cell.machine, kernel=spec)))
    }
    console = run.console(cell, run.boot(cell)).read_text(errors="replace")
    answer = ask(bench.predicate, Subject(capture, console, sources, files))
    lost = "; ".join(f"{program}: {failure.fact}" for program, failure in capture.failures.items())
    return Look(
        machine=cell.machine,
        run=run.folder.name,
        truth=answer.truth,
        seen=answer.seen,
        seconds=round(sum(capture.seconds.values()), 2),
        why="" if answer.truth is not None else lost or "; ".join(answer.seen),
    )
