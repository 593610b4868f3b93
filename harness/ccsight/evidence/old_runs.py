"""Runs that nobody needs any more: which of those in a folder may go, and being rid of one.

Only what is a run and can be read is ever removed: a folder with a plan, under the plan's own id. A
bisection, a baseline, a bundle, a run that was damaged or was given another name stay, and so does the
newest run, and any that somebody writes to.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import CcsightError, DeadlineExceeded, UsageError
from ccsight.evidence.run import Run, runs
from ccsight.store import explain, locked

#: Between two boots a run holds no lock; but it wrote something not that long ago.
_QUIET = timedelta(minutes=15)
_DOOMED = ".doomed"


@dataclass(frozen=True)
class Limits:
    """How much of the past is kept: the newest runs, ``keep`` of them, and those of so many days.

    Whatever is None says nothing; what one of them keeps stays.
    """

    keep: int | None = None
    days: float | None = None

    def __post_init__(self) -> None:
        if self.keep is None and self.days is None:
            raise UsageError(
                "nothing says which runs are old", next_step="give --older-than DAYS, --keep NUMBER, or both"
            )


@dataclass(frozen=True)
class OldRun:
    """A run that was looked at: its size in bytes, and why it stays, "" where it may go."""

    name: str
    created: str
    size: int
    stays: str
    folder: Path


def old_runs(results: Path, limits: Limits, now: datetime) -> Iterator[OldRun]:
    """Yield all that look like runs, oldest first, each with its fate; nothing is removed.

    Those that are kept by their number or age alone are not measured.
    """
    found = runs(results)
    read = {folder: _plan_date(folder) for folder in found}
    newest = [folder for folder in reversed(found) if read[folder]]
    kept = set(newest[: limits.keep or 0])
    pointed = (results / "latest").resolve()
    for folder in found:
        created = read[folder]
        if not created:
            stays = "cannot be read as the run of that name"
        elif folder == found[-1] or folder.resolve() == pointed:
            stays = "the latest"
        elif folder in kept:
            stays = f"one of the newest {limits.keep}"
        elif limits.days is not None and _age(created, now) < timedelta(days=limits.days):
            stays = "not that old"
        else:
            stays = _in_use(folder, now)
        yield OldRun(folder.name, created, _size(folder) if not stays else 0, stays, folder)


def remove(run: OldRun) -> bool:
    """Remove a run, at once for whoever looks; return False where somebody has begun to write to it."""
    try:
        with ExitStack() as held:
            for lock in _locks(run.folder):
                held.enter_context(locked(lock, Deadline(0)))
            doomed = run.folder.with_name(f".{run.name}{_DOOMED}")
            run.folder.rename(doomed)
            shutil.rmtree(doomed)
    except DeadlineExceeded:
        return False
    except OSError as error:
        raise explain(error, run.folder.parent) from error
    return True


def remove_remains(results: Path) -> None:
    """Remove what is left of runs that were being removed when somebody was killed."""
    for folder in results.glob(f".[0-9]*{_DOOMED}"):
        shutil.rmtree(folder, ignore_errors=True)


def _plan_date(folder: Path) -> str:
    """Return when a run was made; "" for what is none, or has another name, or is only a link to one."""
    try:
        plan = Run.open(folder).plan
        datetime.fromisoformat(plan.created).astimezone(UTC)
    except (CcsightError, ValueError, OverflowError):
        return ""
    return plan.created if plan.id == folder.name and not folder.is_symlink() else ""


def _age(created: str, now: datetime) -> timedelta:
    return now - datetime.fromisoformat(created).astimezone(UTC)


def _in_use(folder: Path, now: datetime) -> str:
    """Say who may still write to a run: a lock that is held, or a file that is young. Else ""."""
    try:
        with ExitStack() as held:
            for lock in _locks(folder):
                held.enter_context(locked(lock, Deadline(0)))
    except DeadlineExceeded:
        return "it is being written"
    files = (path for path in folder.rglob("*") if path.parent.name != ".locks")
    written = max(path.lstat().st_mtime for path in (folder, *files))
    young = now - datetime.fromtimestamp(written, UTC) < _QUIET
    return "it was written to just now" if young else ""


def _locks(folder: Path) -> list[Path]:
    """Return what the locks of a run guard, in an order that all take them in."""
    return sorted(path.with_suffix("") for path in (folder / ".locks").glob("*.lock"))


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
