"""Carry out a plan: collect what is missing, judge each case as soon as its cells are in."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing
from typing import Protocol

from ccsight.campaign import turns
from ccsight.campaign.cell import CellTask
from ccsight.campaign.crew import crew
from ccsight.campaign.pool import OnStage, local_pool, run_task
from ccsight.campaign.tasks import Task, tasks
from ccsight.checks.verdict import judged
from ccsight.evidence.failure import Failure
from ccsight.evidence.record import to_json
from ccsight.evidence.run import Run
from ccsight.evidence.views import Cell
from ccsight.kernels.model import Kernel
from ccsight.status import Status

#: How often the pool is set up again after a worker died; then what is left is MISS.
POOL_ATTEMPTS = 3

_WORKER_DIED = Failure(
    status=Status.MISS,
    fact="the worker process died before the cell was captured, three times",
    next_step="look for the out-of-memory killer: dmesg",
)


class Watcher(Protocol):
    """Who is told of progress; the terminal's board is one."""

    def stage(self, cell: str, stage: str) -> None:
        """Note that a cell has reached a stage."""
        ...

    def done(self, cell: str, word: str, seconds: float) -> None:
        """Note that a cell has ended, how, and after how many seconds."""
        ...


def execute(run: Run, kernels: Mapping[str, Kernel], workers: int, watcher: Watcher) -> None:
    """Carry out what a run lacks; judge each case as soon as nothing is left to do for its cells.

    Machines that were lost before are tried again.
    """
    turns.forget(run)
    left = {task.key: task for task in tasks(run, kernels)}
    judge_ready(run, left.values(), run.plan.cells)
    for key, task in left.items():
        watcher.stage(title(run, key, task), "waiting")

    def on_stage(key: str, stage: str) -> None:
        watcher.stage(title(run, key, all_tasks[key]), stage)

    all_tasks = dict(left)
    with closing(collect(left.values(), workers, on_stage)) as ended:
        for task, failure in ended:
            del left[task.key]
            _write_down(run, task, failure)
            word = failure.status if failure else "captured"
            watcher.done(title(run, task.key, task), word, _seconds(run, task))
            judge_ready(run, left.values(), [task.cell])


def title(run: Run, key: str, task: Task) -> str:
    """Return what a task is called on the screen."""
    return run.plan.title(task.cell) + (", VMs arrive" if key != task.cell.id else "")


def _write_down(run: Run, task: Task, failure: Failure | None) -> None:
    """Keep why a worker could not even do that itself."""
    if failure and isinstance(task, CellTask) and not run.ended(task.cell, task.boot):
        run.write(task.cell, "failure.json", to_json(failure), task.boot)


def _seconds(run: Run, task: Task) -> float:
    if isinstance(task, CellTask):
        capture = run.capture(task.cell)
        return sum(capture.seconds.values()) if capture else 0.0
    arrivals = run.arrivals(task.cell)
    return sum(arrivals.seconds.values()) if arrivals else 0.0


def collect(
    tasks: Iterable[Task], workers: int, on_stage: OnStage
) -> Generator[tuple[Task, Failure | None], None, None]:
    """Yield each task as it ends; none starts before those that it is to come after have ended.

    Of a machine of which there is one, tasks are carried out one at a time; they take none of ``workers``,
    for this system has little to do with them. A worker that dies costs its task a new try, not the run.
    """
    pending = list(tasks)
    for _ in range(POOL_ATTEMPTS):
        if not pending:
            return
        lost: list[Task] = []
        with ExitStack() as pools:
            for task, failure in _in_order(_executors(pools, pending, workers, on_stage), pending):
                if isinstance(failure, BrokenProcessPool):
                    lost.append(task)
                else:
                    yield task, failure
        pending = lost
    for task in pending:
        yield task, _WORKER_DIED


def _executors(
    pools: ExitStack, pending: Iterable[Task], workers: int, on_stage: OnStage
) -> Callable[[Task], Executor]:
    """Return who carries out a task: workers for those of emulated machines, a crew for those of others."""
    names = [_machine(task) for task in pending]
    made: dict[bool, Executor] = {}
    if any(names):
        made[True] = pools.enter_context(crew(on_stage))
    if emulated := names.count(""):
        made[False] = pools.enter_context(local_pool(min(workers, emulated), on_stage))
    return lambda task: made[_machine(task) != ""]


def _machine(task: Task) -> str:
    return turns.once(task.cell.machine)


def _in_order(
    executor: Callable[[Task], Executor], pending: Iterable[Task]
) -> Iterator[tuple[Task, Failure | BrokenProcessPool | None]]:
    waiting = {task.key: task for task in pending}
    running: dict[Future[Failure | None], Task] = {}
    broken: BrokenProcessPool | None = None
    while waiting or running:
        for task in [*waiting.values()] if broken else [*_ready(waiting, running.values())]:
            del waiting[task.key]
            if broken:
                yield task, broken
            else:
                running[executor(task).submit(run_task, task)] = task
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            task = running.pop(future)
            try:
                yield task, future.result()
            except BrokenProcessPool as error:
                broken = error
                yield task, error


def _ready(waiting: Mapping[str, Task], running: Iterable[Task]) -> Iterator[Task]:
    """Yield the tasks that may start now: of each machine of which there is one, the first."""
    going = list(running)
    busy = waiting.keys() | {task.key for task in going}
    taken = {_machine(task) for task in going} - {""}
    for task in waiting.values():
        if not task.after & busy and _machine(task) not in taken:
            taken |= {_machine(task)} - {""}
            yield task


def judge_ready(run: Run, left: Iterable[Task], news: Iterable[Cell]) -> None:
    """Judge the cases that touch ``news`` and of whose cells nothing is left to do; log each."""
    touched = {cell.id for cell in news}
    unfinished = {task.cell.id for task in left}
    ready = [
        case for case in run.plan.cases if touched & set(case.cells) and not unfinished & set(case.cells)
    ]
    needed = {cell for case in ready for cell in case.cells}
    cells = [cell for cell in run.plan.cells if cell.id in needed]
    captures = {cell.id: run.capture(cell) for cell in cells}
    failures = {cell.id: run.failure(cell) for cell in cells}
    boots = {cell.id: run.boots(cell) for cell in cells}
    for planned in ready:
        run.append(judged(planned, captures, failures, boots))
