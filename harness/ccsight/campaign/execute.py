"""Carry out a plan: collect what is missing, judge each case as soon as its cells are in."""

from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from typing import Protocol

from ccsight.campaign.cell import CellTask
from ccsight.campaign.pool import OnStage, local_pool, run_task
from ccsight.checks.verdict import judged
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import Capture
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
    """Collect every cell that is not complete; judge each case as soon as its cells are in."""
    finished = {cell.id for cell in run.plan.cells if complete(run, cell)}
    judge_ready(run, finished, finished)
    tasks = [
        CellTask(run.folder, cell, kernels[cell.kernel], boot=run.last_boot(cell) + 1)
        for cell in run.plan.cells
        if cell.id not in finished
    ]
    boots = {task.cell.id: task.boot for task in tasks}
    titles = {cell.id: run.plan.title(cell) for cell in run.plan.cells}

    def on_stage(cell: str, stage: str) -> None:
        watcher.stage(titles[cell], stage)

    with closing(collect(tasks, workers, on_stage)) as ended:
        for cell, failure in ended:
            if failure and not run.ended(cell, boots[cell.id]):
                run.write(cell, "failure.json", to_json(failure), boots[cell.id])
            capture = run.capture(cell)
            watcher.done(titles[cell.id], failure.status if failure else _word(capture), _seconds(capture))
            finished.add(cell.id)
            judge_ready(run, finished, {cell.id})


def collect(
    tasks: Iterable[CellTask], workers: int, on_stage: OnStage
) -> Generator[tuple[Cell, Failure | None], None, None]:
    """Yield each cell as it ends. A worker that dies costs its cell a new try, not the run."""
    pending = list(tasks)
    for _ in range(POOL_ATTEMPTS):
        if not pending:
            return
        lost: list[CellTask] = []
        with local_pool(min(workers, len(pending)), on_stage) as executor:
            futures = {executor.submit(run_task, task): task for task in pending}
            for future in as_completed(futures):
                try:
                    yield futures[future].cell, future.result()
                except BrokenProcessPool:
                    lost.append(futures[future])
        pending = lost
    for task in pending:
        yield task.cell, _WORKER_DIED


def judge_ready(run: Run, finished: set[str], news: set[str]) -> None:
    """Judge the cases that touch ``news`` and whose cells have all ended; append each to the run."""
    ready = [case for case in run.plan.cases if news & set(case.cells) and finished >= set(case.cells)]
    needed = {cell for case in ready for cell in case.cells}
    cells = [cell for cell in run.plan.cells if cell.id in needed]
    captures = {cell.id: run.capture(cell) for cell in cells}
    failures = {cell.id: run.failure(cell) for cell in cells}
    boots = {cell.id: run.boots(cell) for cell in cells}
    for planned in ready:
        run.append(judged(planned, captures, failures, boots))


def complete(run: Run, cell: Cell) -> bool:
    """Tell whether another boot of a cell could say no more; it could where infrastructure was in the way."""
    capture = run.capture(cell)
    if capture:
        return Status.MISS not in {failure.status for failure in capture.failures.values()}
    boots = run.boots(cell)
    return bool(boots and boots.convicts)


def _word(capture: Capture | None) -> str:
    return "captured in part" if capture and capture.failures else "captured"


def _seconds(capture: Capture | None) -> float:
    return sum(capture.seconds.values()) if capture else 0.0
