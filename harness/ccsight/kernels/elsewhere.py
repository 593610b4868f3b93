"""Building on a machine (``build-on=NAME``): with its make, in a folder there that goes with our connection.

What a build writes and reads is mirrored in a folder here, by the same names. How a machine is reached is
known above this layer; what it sends is untrusted.
"""

import io
import re
import shlex
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import HostRefused, UsageError
from ccsight.kernels import objects
from ccsight.kernels.objects import Source
from ccsight.kernels.toolchain import Toolchain, of_machine
from ccsight.paths import cache_dir
from ccsight.process import Completed
from ccsight.store import locked
from ccsight.toolbox.tools import Report, megabytes

#: Where there is room on a machine, also for users who are not root.
BESIDE = "/var/tmp"  # noqa: S108 - a folder in it that is there already is refused
#: The mirrors, one a machine.
FOLDERS = "elsewhere"
_SCRIPT = Path(__file__).with_name("elsewhere.sh")
#: What goes there before a make, and what comes back after it, as far as it is there and has changed.
_SENT = ("wanted.config", "loaded", "guests", "src/.config")
_MADE = re.compile(
    r"src/(\.config|vmlinux|arch/arm64/boot/Image)|guests/module/[\w.-]{1,100}\.ko|installed/[\w/.,+-]{1,500}"
)
#: Bytes that may come back at once, and of a log at once. A vmlinux without debug information has some 60 MB.
_MOST, _CHUNK = 1 << 29, 1 << 20
#: Seconds between two looks at a make.
_POLL = 2.0
_JOBS = re.compile(rb"jobs ([1-9]\d{0,3})\n")
_WORD = re.compile(r"(?P<name>[a-z]{1,20})(?: (?P<value>[^\n]{0,300}))?")


class Host(Protocol):
    """What is needed of a machine; see ``machines.model``."""

    def run(self, argv: Sequence[str], deadline: Deadline, *, limit: int = 64 << 20) -> Completed:
        """Run a program."""
        ...

    def push(self, local: Path, remote: str, deadline: Deadline, *, mode: int = 0o755) -> None:
        """Copy a file to it."""
        ...

    def hold(self, argv: Sequence[str], deadline: Deadline) -> AbstractContextManager[bytes]:
        """Run a program as long as the context lasts, and as we are there."""
        ...


#: Gives a machine by its name, for a purpose; for none, it is only asked something.
Lend = Callable[[str, str, Deadline], AbstractContextManager[Host]]
_LENDERS: list[Lend] = []


def machines_are_lent_by(lend: Lend) -> None:
    """Say who gives us machines."""
    _LENDERS[:] = [lend]
    toolchain.cache_clear()


def _lent(name: str, purpose: str, deadline: Deadline) -> AbstractContextManager[Host]:
    for lend in _LENDERS:
        return lend(name, purpose, deadline)
    raise UsageError(f"nobody here can reach {name} to build there", next_step="leave build-on= out")


@cache
def toolchain(name: str) -> Toolchain:
    """Return what a machine builds kernels with; it is asked once. Raises ToolMissing, UsageError."""
    deadline = Deadline(60)
    with _lent(name, "", deadline) as host:
        said = _said(_run(host, "tools", deadline=deadline).decode(errors="replace"), name)
    return of_machine(said, name)


def _said(text: str, name: str) -> dict[str, str]:
    found = [_WORD.fullmatch(line) for line in text.splitlines()]
    if None in found:
        raise HostRefused(f"{name} does not say what it builds with", evidence=repr(text[:200]))
    return {match["name"]: match["value"] or "" for match in found if match}


def _run(host: Host, command: str, *words: str, deadline: Deadline, limit: int = 1 << 16) -> bytes:
    argv = ["sh", "-c", _SCRIPT.read_text(encoding="utf-8"), "sh", command, *words]
    done = host.run(argv, deadline, limit=limit)
    if done.returncode:
        said = done.stderr.decode(errors="replace")[-300:].strip()
        raise HostRefused(f"the machine refuses to {command} for a build", evidence=said)
    return done.stdout


@dataclass(frozen=True)
class Shop:
    """A folder on a machine, ``there``, with a source in it; ``home`` is its mirror here."""

    host: Host
    there: str
    home: Path
    jobs: int

    def make(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        output: tuple[BinaryIO, Callable[[str], None]],
        deadline: Deadline,
    ) -> int:
        """Run make in the source, and return its status; the log comes while it runs."""
        self._send(deadline)
        told = [f"{name}={value}" for name, value in env.items()]
        argv = ["env", *told, "make", f"-j{self.jobs}", *words]
        output[0].write(f"# there: {shlex.join(argv)}\n".encode())
        moved = [word.replace(str(self.home), self.there) for word in argv]
        _run(self.host, "start", self.there, *moved, deadline=deadline)
        status = self._followed(*output, deadline)
        self.receive(deadline)
        return status

    def _send(self, deadline: Deadline) -> None:
        packed = self.home / "sent.tar"
        with tarfile.open(packed, "w") as archive:
            for name in _SENT:
                if (self.home / name).exists():
                    archive.add(self.home / name, name)
        self.host.push(packed, f"{self.there}/sent.tar", deadline, mode=0o600)
        _run(self.host, "unpack", self.there, "sent.tar", self.there, deadline=deadline)

    def _followed(self, log: BinaryIO, on_line: Callable[[str], None], deadline: Deadline) -> int:
        place, rest = 1, b""
        while True:
            deadline.check("make")
            said = _run(self.host, "look", self.there, f"{place}", deadline=deadline, limit=2 * _CHUNK)
            state, _, chunk = said.partition(b"\n")
            log.write(chunk)
            place += len(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                on_line(line.decode(errors="replace"))
            if state.isdigit() and not chunk:
                return int(state)
            if not chunk:
                process.pause(_POLL, deadline)

    def receive(self, deadline: Deadline) -> None:
        """Take over what has been made. Raises HostRefused for what no make makes."""
        argv = ["sh", "-c", _SCRIPT.read_text(encoding="utf-8"), "sh", "made", self.there]
        packed = self.host.run(argv, deadline, limit=_MOST).stdout
        try:
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                for member in archive:
                    self._lay_down(archive, member)
        except tarfile.TarError as error:
            raise HostRefused(
                "what make has made there does not come back whole", evidence=str(error)
            ) from error

    def _lay_down(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        content = archive.extractfile(member) if member.isreg() else None
        if content is None or not _MADE.fullmatch(member.name) or ".." in PurePosixPath(member.name).parts:
            raise HostRefused(
                "what comes back from there is no part of a kernel", evidence=repr(member.name[:200])
            )
        path = self.home / member.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            shutil.copyfileobj(content, file)


@contextmanager
def shop(name: str, key: str, source: Source, deadline: Deadline, report: Report) -> Iterator[Shop]:
    """Have a source on a machine, to make it there. One build at a time is done on a machine.

    Raises Taken when somebody else has the machine, HostRefused, HostLost or NoSpace.
    """
    home = cache_dir() / FOLDERS / name
    with locked(home, deadline):
        shutil.rmtree(home, ignore_errors=True)
        (home / "src").mkdir(parents=True)
        packed = home / "source.tar.gz"
        objects.pack(source, packed, deadline)
        objects.unpack(source, (":(glob)**/Kconfig*",), home / "src", deadline)
        there = f"{BESIDE}/ccsight-build-{key}"
        with _lent(name, f"building {source.title}", deadline) as host:
            with host.hold(["sh", "-c", _SCRIPT.read_text(), "sh", "keep", there], deadline) as said:
                jobs = _JOBS.fullmatch(said)
                if not jobs:
                    raise HostRefused(f"{name} has no folder for a build", evidence=repr(said[:200]))
                report(f"sending {source.title} to {name}: {megabytes(packed.stat().st_size)}")
                host.push(packed, f"{there}/source.tar.gz", deadline, mode=0o600)
                _run(host, "unpack", there, "source.tar.gz", f"{there}/src", deadline=deadline)
                packed.unlink()
                yield Shop(host, there, home, int(jobs[1]))
