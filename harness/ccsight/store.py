"""Folders that are made once and then only read: the content-addressed cache.

An entry appears whole by a rename, or not at all. Two processes that want the same entry make it
once; a killed one leaves only a temporary folder, which the next one removes.
"""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ccsight.deadline import Deadline
from ccsight.errors import DeadlineExceeded, InfraError, NoSpace, UsageError, reason
from ccsight.paths import cache_dir


def entry(kind: str, key: str, fill: Callable[[Path], None], deadline: Deadline) -> Path:
    """Return the folder ``kind/key`` of the cache, filled by ``fill`` if it was not there.

    ``fill`` gets an empty folder and puts everything into it; it runs at most once at a time for a
    key, whatever the number of processes. Raises NoSpace, UsageError (cache not writable) or
    whatever ``fill`` raises; then nothing is left.
    """
    place = cache_dir() / kind / key
    if place.is_dir():
        os.utime(place)
        return place
    try:
        with locked(place, deadline):
            if not place.is_dir():
                _fill(place, fill)
    except OSError as error:
        raise explain(error, place.parent) from error
    return place


@contextmanager
def locked(place: Path, deadline: Deadline) -> Iterator[None]:
    """Hold the lock of ``place`` against other processes; the kernel drops it if we die."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, place.parent) from error
    lock = FileLock(f"{place}.lock")
    try:
        lock.acquire(timeout=deadline.remaining)
    except Timeout:
        raise DeadlineExceeded(
            f"another process holds {place.name} for more than {deadline.seconds:.0f} s",
            evidence=f"{place}.lock",
            next_step="wait for the other run, or end it",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _fill(place: Path, fill: Callable[[Path], None]) -> None:
    draft = place.with_name(f".{place.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)  # under the lock, a draft is a killed run's
    draft.mkdir()
    try:
        fill(draft)
        draft.rename(place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a kill, sees the old content or the new, never half."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        error.filename = str(path)  # the draft's name is nobody's business
        raise explain(error, path.parent) from error


def explain(error: OSError, folder: Path) -> InfraError | UsageError:
    """Return what the user can do about a failed write below ``folder``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(
            f"no space left below {folder}",
            evidence=reason(error),
            next_step="free some, or point XDG_CACHE_HOME (cache), --out or --results (runs) elsewhere",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return UsageError(
            f"cannot write below {folder}",
            evidence=reason(error),
            next_step="point --out or --results (runs), or XDG_CACHE_HOME (cache), to a folder of yours",
        )
    return InfraError(
        f"cannot write below {folder}",
        evidence=reason(error),
        next_step="see that folder, and the disk below it",
    )
