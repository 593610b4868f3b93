"""The one door to other programs: argv only, stdin closed, output bounded, and always a clock.

Every child dies with ccsight, ``kill -9`` included: it is started through setpriv(1), which asks the
kernel for a SIGKILL at the death of the *thread* that started it (PR_SET_PDEATHSIG). So start a
long-lived child from a thread that outlives it.
"""

import contextlib
import ctypes
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ccsight.deadline import Deadline
from ccsight.errors import DeadlineExceeded, InfraError, ToolMissing

#: For :class:`Streams`, and the type of what ``spawn`` returns: nobody else needs subprocess.
PIPE = subprocess.PIPE
Child = subprocess.Popen[bytes]
#: What a program has of the environment besides ours; None takes a variable of ours from it.
Environment = Mapping[str, str | None]
TimedOut = subprocess.TimeoutExpired

#: prctl(2): a signal for this process when its parent is gone.
_PR_SET_PDEATHSIG = 1
#: The shell closes the race between fork and prctl: when the parent is gone already, nothing starts.
_DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"')
_READ_SIZE = 1 << 16


class ProcessFailed(InfraError):
    """A program ended with a status that its caller did not expect."""


class OutputTooLong(InfraError):
    """A program said more than its caller allows."""

    advice = "nothing that ccsight asks for says so much: see by hand what it is"


class Streams(NamedTuple):
    """Where a program's streams go: a descriptor, ``PIPE``, or nowhere."""

    stdin: int = subprocess.DEVNULL
    stdout: int = subprocess.DEVNULL
    stderr: int = subprocess.DEVNULL


NOWHERE = Streams()


@dataclass(frozen=True)
class Completed:
    """A program that has ended. ``stdout`` and ``stderr`` are bytes as sent."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """The standard output, undecodable bytes replaced."""
        return self.stdout.decode(errors="replace")


def spawn(
    argv: Sequence[str],
    streams: Streams = NOWHERE,
    *,
    cwd: Path | None = None,
    env: Environment | None = None,
    pass_fds: Sequence[int] = (),
) -> Child:
    """Start a program in a process group of its own; the caller ends it with :func:`end`."""
    if not shutil.which(argv[0]):
        raise ToolMissing(f"{argv[0]} is not on this system", next_step="ccsight doctor")
    return subprocess.Popen(
        [*_DIE_WITH_PARENT, str(os.getpid()), *argv],
        stdin=streams.stdin,
        stdout=streams.stdout,
        stderr=streams.stderr,
        cwd=cwd,
        env={name: value for name, value in (os.environ | dict(env or {})).items() if value is not None},
        pass_fds=pass_fds,
        start_new_session=True,
    )


def end(child: Child) -> None:
    """Kill a child's process group and reap the child; a child that has ended already is fine."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def run(
    argv: Sequence[str],
    deadline: Deadline,
    *,
    cwd: Path | None = None,
    env: Environment | None = None,
    expect: Sequence[int] | None = (0,),
    limit: int = 64 << 20,
) -> Completed:
    """Run a program to its end and return what it said.

    ``expect`` lists the exit statuses that are fine (None: any). ``limit`` bounds each output
    stream, in bytes. Raises ProcessFailed, OutputTooLong, DeadlineExceeded or ToolMissing; the
    message carries the command ready to paste and the last lines it printed.
    """
    child = spawn(argv, Streams(stdout=PIPE, stderr=PIPE), cwd=cwd, env=env)
    try:
        stdout, stderr = _drain(child, argv, deadline, limit)
        returncode = _wait(child, argv, deadline)
    finally:
        end(child)
        for pipe in (child.stdout, child.stderr):
            if pipe:
                pipe.close()
    done = Completed(tuple(argv), returncode, stdout, stderr)
    if expect is not None and returncode not in expect:
        raise ProcessFailed(
            f"{Path(argv[0]).name} ended with status {returncode}",
            evidence=_last_lines(stderr or stdout),
            next_step=f"by hand: {shlex.join(argv)}",
        )
    return done


def follow(
    argv: Sequence[str],
    deadline: Deadline,
    *,
    log: BinaryIO,
    on_line: Callable[[str], None],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> int:
    """Run a program whose output is a log: both streams, line by line, into ``log`` and to ``on_line``.

    Returns its exit status. Raises DeadlineExceeded or ToolMissing; the log keeps what was said.
    """
    child = spawn(argv, Streams(stdout=PIPE, stderr=subprocess.STDOUT), cwd=cwd, env=env)
    assert child.stdout is not None  # noqa: S101 - it was asked for as a pipe
    rest = b""
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            while True:
                if not selector.select(deadline.remaining):
                    raise _too_slow(argv, deadline)
                chunk = os.read(child.stdout.fileno(), _READ_SIZE)
                log.write(chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    on_line(line.decode(errors="replace"))
                if not chunk:
                    return _wait(child, argv, deadline)
    finally:
        end(child)
        child.stdout.close()


def _drain(child: Child, argv: Sequence[str], deadline: Deadline, limit: int) -> tuple[bytes, bytes]:
    """Read both pipes together until they close, so that neither can block the child."""
    assert child.stdout is not None  # noqa: S101 - both were asked for as pipes
    assert child.stderr is not None  # noqa: S101
    buffers = {child.stdout.fileno(): bytearray(), child.stderr.fileno(): bytearray()}
    with selectors.DefaultSelector() as selector:
        for fd in buffers:
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(deadline.remaining)
            if not ready:
                raise _too_slow(argv, deadline)
            for key, _ in ready:
                chunk = os.read(key.fd, _READ_SIZE)
                buffers[key.fd] += chunk
                if not chunk:
                    selector.unregister(key.fd)
                if len(buffers[key.fd]) > limit:
                    raise OutputTooLong(f"{argv[0]} said more than {limit} bytes", next_step=shlex.join(argv))
    stdout, stderr = buffers.values()
    return bytes(stdout), bytes(stderr)


def _wait(child: Child, argv: Sequence[str], deadline: Deadline) -> int:
    try:
        return child.wait(max(deadline.remaining, 0.1))
    except subprocess.TimeoutExpired:
        raise _too_slow(argv, deadline) from None


def _too_slow(argv: Sequence[str], deadline: Deadline) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"{Path(argv[0]).name} did not end within {deadline.seconds:.0f} s",
        next_step=f"by hand: {shlex.join(argv)}",
    )


def _last_lines(output: bytes, count: int = 6) -> str:
    lines = output.decode(errors="replace").strip().splitlines()[-count:]
    return "\n            ".join(lines)


def pause(seconds: float, deadline: Deadline) -> None:
    """Sleep between two looks at something that cannot be waited on; never past the deadline."""
    time.sleep(min(seconds, deadline.remaining))


def die_with(parent: int) -> None:
    """Have this process, which was forked, killed when its parent is gone; at once where it is already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
