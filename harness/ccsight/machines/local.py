"""This very system as a host: for an arm64 machine that ccsight runs on, and for tests."""

import os
import select
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import HostRefused, ToolMissing, reason
from ccsight.machines.beat import Beat
from ccsight.process import Completed, OutputTooLong, Streams

#: Bytes of the first line that a program may say.
LINE_MAX = 4096
#: Seconds that a program has once its input has ended.
_ENDS_WITHIN = 5.0
_NOT_FOUND = 127  # what a shell says


class LocalHost:
    """Runs commands and copies files here. Exit statuses read as a shell's: 128 + N for signal N."""

    def run(self, argv: Sequence[str], deadline: Deadline, *, limit: int = 64 << 20) -> Completed:
        """See :class:`ccsight.machines.model.Host`."""
        try:
            done = process.run(argv, deadline, expect=None, limit=limit)
        except ToolMissing as error:
            return Completed(tuple(argv), _NOT_FOUND, b"", str(error).encode())
        status = done.returncode if done.returncode >= 0 else 128 - done.returncode
        return Completed(done.argv, status, done.stdout, done.stderr)

    def push(self, local: Path, remote: str, deadline: Deadline, *, mode: int = 0o755) -> None:
        """See :class:`ccsight.machines.model.Host`."""
        target = Path(remote)
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            draft.write_bytes(local.read_bytes())
            draft.chmod(mode)
            draft.replace(target)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise HostRefused(f"copying {local.name} to {remote} failed", evidence=reason(error)) from error
        deadline.check(f"copying {local.name}")

    def fetch(self, remote: str, deadline: Deadline, *, limit: int = 64 << 20) -> bytes:
        """See :class:`ccsight.machines.model.Host`."""
        try:
            with Path(remote).open("rb") as source:
                content = source.read(limit + 1)
        except OSError as error:
            raise HostRefused(f"reading {remote} failed", evidence=reason(error)) from error
        if len(content) > limit:
            raise OutputTooLong(f"{remote} has more than {limit} bytes")
        deadline.check(f"reading {remote}")
        return content

    @contextmanager
    def hold(self, argv: Sequence[str], deadline: Deadline) -> Iterator[bytes]:
        """See :class:`ccsight.machines.model.Holding`."""
        child = process.spawn(argv, Streams(stdin=process.PIPE, stdout=process.PIPE))
        assert child.stdin is not None  # noqa: S101 - it was asked for as a pipe
        feed = child.stdin.fileno()
        try:
            with Beat(lambda byte: os.write(feed, byte)):
                yield _first_line(child, argv[0], deadline)
        finally:
            _let_end(child)


def _let_end(child: process.Child) -> None:
    """End a program's input, by which it should end; and then the program, if it did not."""
    with suppress(BrokenPipeError, process.TimedOut):
        child.communicate(timeout=_ENDS_WITHIN)
    process.end(child)


def _first_line(child: process.Child, program: str, deadline: Deadline) -> bytes:
    assert child.stdout is not None  # noqa: S101 - it was asked for as a pipe
    said = b""
    while not said.endswith(b"\n"):
        if not select.select([child.stdout], [], [], deadline.remaining)[0]:
            deadline.check(f"the first line of {program}")
        byte = os.read(child.stdout.fileno(), 1)  # what follows the line is nobody's
        if not byte or len(said) > LINE_MAX:
            raise HostRefused(f"{program} said no line", evidence=repr(said[:200]))
        said += byte
    return said
