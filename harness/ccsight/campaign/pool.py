"""The local executor: worker processes that die with the controller and say what stage they are at.

Any ``concurrent.futures.Executor`` can take its place; what makes this one local is that its workers
report over a pipe and are killed by the kernel when the controller dies.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection

from ccsight.campaign.tasks import Task
from ccsight.evidence.failure import Failure
from ccsight.process import die_with
from ccsight.status import Status

#: Told about each stage of each task: ``on_stage(key, "booting")``.
OnStage = Callable[[str, str], None]

_to_controller: Connection | None = None


@contextmanager
def local_pool(workers: int, on_stage: OnStage) -> Iterator[ProcessPoolExecutor]:
    """Yield an executor of so many processes; leaving it in any way ends them and their children.

    Workers are spawned, not forked: the controller has threads, and a forked worker would inherit
    their locks.
    """
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    listener = threading.Thread(target=listen, args=(reader, on_stage), daemon=True)
    listener.start()
    executor = ProcessPoolExecutor(
        workers, mp_context=context, initializer=enter_worker, initargs=(writer, os.getpid())
    )
    try:
        yield executor
    except BaseException:
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
        writer.close()
        listener.join(timeout=5)
        reader.close()


def run_task(task: Task) -> Failure | None:
    """Run in a worker: carry out a task, and report its stages to the controller."""
    try:
        return task.carry_out(lambda stage: tell(task.key, stage))
    except Exception as error:
        return Failure(
            status=Status.ERROR,
            fact=f"ccsight itself failed: {type(error).__name__}: {error}",
            evidence=traceback.format_exc(limit=-3).strip(),
        )


def tell(task: str, stage: str) -> None:
    """Tell the controller, in a worker: a task has reached a stage."""
    if _to_controller:
        _to_controller.send((task, stage))  # one small write: whole or not at all, without a lock


def enter_worker(writer: Connection, controller: int) -> None:
    """Become a worker: one that tells its stages through ``writer``, and dies with its controller."""
    global _to_controller  # noqa: PLW0603 - one connection a process, set once
    _to_controller = writer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the controller's to handle
    die_with(controller)


def listen(reader: Connection, on_stage: OnStage) -> None:
    """Pass on what workers tell, until there are none: in a thread of the controller."""
    while True:
        try:
            task, stage = reader.recv()
        except (EOFError, OSError):
            return
        on_stage(task, stage)
