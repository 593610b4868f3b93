"""The probe as a library: what ccsight calls through cffi on the machine that it runs on itself.

A call is made in a process that is forked for it, never in the caller's own. The library takes SIGALRM and
the process's timer, pins its thread, and leaves VMs to the end of the process, as the program does; a call
that hangs in KVM can only be ended with its process; and a crash must cost no more than its stream.
"""

import faulthandler
import multiprocessing
import os
import resource
import shutil
import signal
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from ccsight import cdata
from ccsight.deadline import Deadline
from ccsight.errors import DeadlineExceeded
from ccsight.machines.emulator import memory_file
from ccsight.machines.model import Host
from ccsight.paths import data_dir
from ccsight.probes.build import LIBRARY, PROBE
from ccsight.probes.runner import Keep, Probe, hashes
from ccsight.process import Completed, OutputTooLong, die_with
from ccsight.scratch import Scratch

_FORK = multiprocessing.get_context("fork")
#: What a shell says of a program that is there and cannot be run.
_NOT_RUN = 126


@dataclass(frozen=True)
class LibraryHost:
    """This machine, where ``program`` stands for a call of ``library``; all else is for ``host`` to do."""

    host: Host
    program: str
    library: Path

    def run(self, argv: Sequence[str], deadline: Deadline, *, limit: int = 64 << 20) -> Completed:
        """See :class:`ccsight.machines.model.Host`."""
        if argv[0] != self.program:
            return self.host.run(argv, deadline, limit=limit)
        return call(self.library, argv, deadline, limit=limit)

    def push(self, local: Path, remote: str, deadline: Deadline, *, mode: int = 0o755) -> None:
        """See :class:`ccsight.machines.model.Host`."""
        self.host.push(local, remote, deadline, mode=mode)

    def fetch(self, remote: str, deadline: Deadline, *, limit: int = 64 << 20) -> bytes:
        """See :class:`ccsight.machines.model.Host`."""
        return self.host.fetch(remote, deadline, limit=limit)


@contextmanager
def at_hand(host: Host, folder: Path, deadline: Deadline, keep: Keep) -> Iterator[Probe]:
    """Lay the guests of ``folder`` out on this very machine, as ``runner.placed`` does on any.

    The library stays where it is: /tmp may be mounted noexec.
    """
    with Scratch() as place:
        for image in folder.glob("*.img"):
            shutil.copyfile(image, Path(place) / image.name)
        here = LibraryHost(host, f"{place}/{PROBE}", folder / LIBRARY)
        yield Probe(here, place, hashes(folder, LIBRARY), keep)


def call(library: Path, argv: Sequence[str], deadline: Deadline, *, limit: int) -> Completed:
    """Call ``ccprobe_main`` with these arguments; what it streams is the result's stdout.

    Raises DeadlineExceeded, or OutputTooLong beyond ``limit`` bytes.
    """
    header = data_dir("guests") / "vmm" / "library.h"
    cdata.declarations(header)  # parsed once, here, and not in each child
    with memory_file("stream") as stream, memory_file("said") as said:
        job = _Job(library, header, tuple(argv), (stream.fileno(), said.fileno()), limit, os.getpid())
        status = _status(job, deadline)
        if status is None:
            raise DeadlineExceeded(
                f"{PROBE} {' '.join(argv[1:2])} did not end within {deadline.seconds:.0f} s"
            )
        streamed, words = _content(stream, limit), _content(said, limit)
    return Completed(tuple(argv), status if status >= 0 else 128 - status, streamed, words)


def _content(file: BinaryIO, limit: int) -> bytes:
    file.seek(0)
    content = file.read(limit + 1)
    if len(content) > limit:
        raise OutputTooLong(f"{PROBE} said more than {limit} bytes")
    return content


@dataclass(frozen=True)
class _Job:
    """One call, as the child gets it: descriptors for the stream and for all else, and whose child it is."""

    library: Path
    header: Path
    argv: tuple[str, ...]
    descriptors: tuple[int, int]
    limit: int
    parent: int


def _status(job: _Job, deadline: Deadline) -> int | None:
    """Return how the child ended, -N for signal N; None when it had to be killed at the deadline."""
    child = _FORK.Process(target=_carry_out, args=(job,), name=PROBE)
    child.start()
    try:
        child.join(deadline.remaining)
        return child.exitcode
    finally:
        child.kill()
        child.join()
        child.close()


def _carry_out(job: _Job) -> NoReturn:
    """Call the library and end the process at once: what Python does at its end is the parent's to do."""
    stream, said = job.descriptors
    status = _NOT_RUN
    try:
        _settle(job, said)
        status = cdata.main_of(job.library, job.header, "ccprobe_main", job.argv, stream)
    except BaseException:
        os.write(said, traceback.format_exc(limit=-2).encode())
    finally:
        os._exit(status)


def _settle(job: _Job, said: int) -> None:
    """Make this a process as the program has it: it dies with its parent, and writes to no terminal."""
    die_with(job.parent)
    faulthandler.disable()  # whoever has it on gave it a descriptor of its own
    os.dup2(said, 1)
    os.dup2(said, 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (job.limit + 1, job.limit + 1))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # its clock and its threads work by signals
