"""A machine's console, as any command yields it: kept in a file for as long as somebody has the machine.

The command may end at any time, and is started again. What the machine said meanwhile was not heard, and the
file says so where that was. No word of the command is written down: there may be a password in it.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ccsight import process
from ccsight.errors import ToolMissing
from ccsight.machines.console import GAP
from ccsight.machines.inventory_rows import Words
from ccsight.process import PIPE, Child, Streams
from ccsight.store import explain

#: Bytes of a console that are kept.
MOST = 64 << 20
#: Seconds from one start of a command that keeps ending to the next.
_PAUSE = 3.0
#: Seconds that a command is heard at the end: until it is silent for the first, and for the second at most.
_SILENT, _LAST = 0.5, 3.0
#: Seconds that it has to end when nobody types any more; when it is asked to; after that it is killed.
_ALONE, _LEAVE = 0.2, 2.0
_TICK = 0.02
#: Bytes of a read, and of what a pipe can hold: fs.pipe-max-size.
_READ_SIZE, _PIPE_MAX = 1 << 16, 1 << 20


@contextmanager
def kept(argv: Words, console: Path, most: int = MOST) -> Iterator[None]:
    """Append what a command says to a file while the context lasts; nothing where there is no command.

    Its input is open, and silent. When it began and ended stands in another file (:func:`story`). Raises
    ToolMissing before anything begins, and what says why not all could be written.
    """
    if not argv:
        yield
        return
    with ExitStack() as files:
        try:
            console.parent.mkdir(parents=True, exist_ok=True)
            written = [
                files.enter_context(path.open("ab", buffering=0)) for path in (console, story(console))
            ]
        except OSError as error:
            raise explain(error, console.parent) from error
        log = _Log(written[0], written[1], most)
        until, stop = os.pipe()
        files.callback(os.close, until)
        # The first one is started here, so that whoever asked is told when there is no such program.
        keeper = threading.Thread(target=_keep, args=(argv, _start(argv, log), log, until), daemon=True)
        keeper.start()
        try:
            yield
        finally:
            os.close(stop)
            keeper.join()
    if log.trouble:
        raise explain(log.trouble, console.parent) from log.trouble


def story(console: Path) -> Path:
    """Return the file that says when the command of a console began and ended."""
    return console.with_name(f"{console.name.removesuffix('.log')}.command.log")


class _Log:
    """The two files. ``trouble`` is why they could not be written."""

    def __init__(self, console: BinaryIO, story: BinaryIO, most: int) -> None:
        self._console = console
        self._story = story
        self._room = max(0, most - console.tell())
        self._began = time.monotonic()
        self.trouble: OSError | None = None

    def hear(self, said: bytes) -> None:
        """Keep what was said, as long as there is room: after that, one line says that there is none."""
        fits = said[: max(self._room, 0)]
        self._write(self._console, fits)
        self._room -= len(fits)
        if len(fits) < len(said) and self._room >= 0:
            self._room = -1
            self.miss("the console is full: nothing more of it is kept")

    def miss(self, why: str) -> None:
        """Say where something was not heard, and why."""
        self._write(self._console, f"\n{GAP}\n".encode())
        self.tell(why)

    def tell(self, what: str) -> None:
        """Add a line to the story."""
        self._write(self._story, f"{time.monotonic() - self._began:9.3f} s  {what}\n".encode())

    def _write(self, file: BinaryIO, content: bytes) -> None:
        try:
            while content and not self.trouble:
                content = content[file.write(content) :]
        except OSError as error:
            self.trouble = error


@dataclass(frozen=True)
class _Running:
    """A command that was started, and where what it says is read: both of its streams."""

    child: Child
    said: int
    since: float


def _start(argv: Words, log: _Log) -> _Running:
    said, says = os.pipe()
    try:
        child = process.spawn(argv, Streams(stdin=PIPE, stdout=says, stderr=says))
    except BaseException:
        os.close(said)
        raise
    finally:
        os.close(says)
    log.tell("the command began")
    return _Running(child, said, time.monotonic())


def _keep(argv: Words, running: _Running, log: _Log, until: int) -> None:
    """Hear a command until the other end of ``until`` is closed; start it again whenever it ends.

    Runs in a thread: a command that it starts dies with it.
    """
    while _hear(running, log, until):
        log.miss(_end(running, log))
        pause = running.since + _PAUSE - time.monotonic()
        if select.select([until], [], [], max(pause, 0))[0]:
            return
        try:
            running = _start(argv, log)
        except ToolMissing as error:
            log.tell(error.fact)
            return
    began = time.monotonic()
    while time.monotonic() - began < _LAST and _hear_once(running, log, _SILENT):
        pass
    log.tell(_end(running, log))


def _hear(running: _Running, log: _Log, until: int) -> bool:
    """Return True when the command has nothing more to say, False when it shall not be heard any longer."""
    while True:
        ready, _, _ = select.select([running.said, until], [], [])
        if until in ready:
            return False
        if not _hear_once(running, log, 0):
            return True


def _hear_once(running: _Running, log: _Log, seconds: float) -> bool:
    """Keep the next words of a command; return whether there were any within so many seconds."""
    if not select.select([running.said], [], [], seconds)[0]:
        return False
    said = os.read(running.said, _READ_SIZE)
    log.hear(said)
    return bool(said)


def _end(running: _Running, log: _Log) -> str:
    """Have a command end, hear it out meanwhile, and return how it ended."""
    child = running.child
    if child.stdin:
        child.stdin.close()
    alone = _waited(running, log, _ALONE)
    if not alone:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        _waited(running, log, _LEAVE)
    process.end(child)
    _waited(running, log, 0)
    os.close(running.said)
    return f"the command ended with status {child.returncode}" if alone else "the command was ended"


def _waited(running: _Running, log: _Log, seconds: float) -> bool:
    """Hear a command for so many seconds, until it has ended; return whether it has."""
    began = time.monotonic()
    while running.child.poll() is None and time.monotonic() - began < seconds:
        if not _hear_once(running, log, 0):
            with suppress(process.TimedOut):
                running.child.wait(_TICK)
    for _ in range(_PIPE_MAX // _READ_SIZE):  # as much as it may have left there
        if not _hear_once(running, log, 0):
            break
    return running.child.poll() is not None
