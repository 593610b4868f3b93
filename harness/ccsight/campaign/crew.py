"""One process that carries out many tasks at once, each in a thread: for machines that are only waited for.

Twenty processes would take three times the memory, and this system has little to do for any of them.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import ParamSpec, TypeVar

from ccsight.campaign.pool import OnStage, enter_worker, listen

P = ParamSpec("P")
T = TypeVar("T")
#: A number, and what is to be called, with what.
_Asked = tuple[int, Callable[..., object], tuple[object, ...], dict[str, object]]


class Crew(Executor):
    """What hands tasks to the process, and gives its answers to whoever waits for them."""

    def __init__(self, process: Connection) -> None:
        self._process = process
        self._lock = threading.Lock()
        self._asked: dict[int, Future[object]] = {}
        self._number = 0
        self._gone = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """See :class:`concurrent.futures.Executor`; where the process died, it is a BrokenProcessPool."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            self._number += 1
            self._asked[self._number] = future  # type: ignore[assignment]  # of each its own type
            with suppress(OSError):  # it is gone: then so are all that wait for it
                self._process.send((self._number, fn, args, kwargs))
            if self._gone:
                self._break()
        return future

    def answer(self) -> None:
        """Give each answer to whoever waits for it, until the process has ended."""
        while True:
            try:
                number, result, error = self._process.recv()
            except (EOFError, OSError):
                with self._lock:
                    self._gone = True
                    self._break()
                return
            future = self._asked.pop(number)
            if error:
                future.set_exception(error)
            else:
                future.set_result(result)

    def _break(self) -> None:
        while self._asked:
            self._asked.popitem()[1].set_exception(BrokenProcessPool("the process of all machines died"))


@contextmanager
def crew(on_stage: OnStage) -> Iterator[Crew]:
    """Yield an executor of one process with as many threads as tasks; leaving it in any way ends it."""
    context = multiprocessing.get_context("spawn")
    stages, told = context.Pipe(duplex=False)
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, told, os.getpid()))
    process.start()
    theirs.close()
    executor = Crew(ours)
    threads = [
        threading.Thread(target=listen, args=(stages, on_stage), daemon=True),
        threading.Thread(target=executor.answer, daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield executor
        with suppress(OSError):
            ours.send(None)
    except BaseException:
        process.terminate()
        raise
    finally:
        process.join()
        told.close()
        for thread in threads:
            thread.join(timeout=5)
        stages.close()
        ours.close()


def _work(asked: Connection, told: Connection, controller: int) -> None:
    """Run in the process: a thread for each task, until there are no more."""
    enter_worker(told, controller)
    lock = threading.Lock()
    for number, fn, args, kwargs in iter(partial(_next, asked), None):
        answer = partial(_answer, asked, lock, number)
        threading.Thread(target=_one, args=(partial(fn, *args, **kwargs), answer)).start()


def _next(asked: Connection) -> _Asked | None:
    """Return what is asked next, None when that was all; without a controller this process ends at once."""
    try:
        found: _Asked | None = asked.recv()
    except EOFError:
        os._exit(1)
    return found


def _one(task: Callable[[], object], answer: Callable[[object, Exception | None], None]) -> None:
    try:
        answer(task(), None)
    except Exception as error:  # of the task; or its result cannot be sent
        answer(None, RuntimeError(repr(error)))


def _answer(
    asked: Connection, lock: threading.Lock, number: int, result: object, error: Exception | None
) -> None:
    with lock:
        asked.send((number, result, error))
