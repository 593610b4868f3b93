"""The programs of the packaging system, run privately, with their complaints sorted into the taxonomy."""

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import ArchiveError
from ccsight.store import explain

#: Told in plain words what is about to be done: ``report("linux-image-6.1.0-56-arm64 60 MB")``.
Report = Callable[[str], None]

#: The next step whenever an archive could not be read.
REACH = "check the network and apt's proxy settings, or name another archive: CCSIGHT_MIRROR=URI"
APT_HELPER = "/usr/lib/apt/apt-helper"
_DISK_FULL = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))


def run(
    argv: Sequence[str],
    deadline: Deadline,
    *,
    config: Path | None = None,
    cwd: Path | None = None,
    expect: Sequence[int] | None = (0,),
) -> process.Completed:
    """Run a packaging tool in plain English, under a private apt configuration if one is given.

    ``expect`` as in process.run. A full disk is NoSpace; any other unexpected end is ArchiveError,
    with the tool's own words as the evidence.
    """
    env = {"LC_ALL": "C"} | ({"APT_CONFIG": str(config)} if config else {})
    done = process.run(argv, deadline, env=env, cwd=cwd, expect=None)
    said = complaints(done)
    if done.returncode and any(words in said for words in _DISK_FULL):
        raise explain(OSError(errno.ENOSPC, said), cwd or (config or Path("/tmp")).parent)  # noqa: S108
    if expect is not None and done.returncode not in expect:
        raise ArchiveError(
            f"{Path(argv[0]).name} {argv[1]} ended with status {done.returncode}",
            evidence=said,
            next_step=REACH,
        )
    return done


def complaints(done: process.Completed) -> str:
    """Return the lines of apt's standard error that say something, errors before warnings."""
    lines = done.stderr.decode(errors="replace").splitlines()
    errors = [line for line in lines if line.startswith("E:")]
    return "\n            ".join((errors or [line for line in lines if line.strip()])[:6])


def megabytes(size: int) -> str:
    """Return a size for people: ``60 MB``, and ``0.3 MB`` where 0 would look like nothing."""
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e6:.1f} MB"
