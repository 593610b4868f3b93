"""The folders that kernels are built in: which one a build borrows, when there is one more, who copies them.

A *lineage* is a folder of the cache with one worktree, which is moved from source to source, so that make
only builds what differs. All lineages of one configuration and toolchain are alike but for where they are.
"""

import itertools
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import DeadlineExceeded
from ccsight.kernels import objects
from ccsight.kernels.objects import GitFailed, Source
from ccsight.paths import cache_dir
from ccsight.store import locked, write_atomically
from ccsight.toolbox.tools import Report

FOLDERS = "lineages"
#: Changed paths beyond which nothing of a build is of use, as some are headers that everything includes.
#: 6.1.176 and 6.1.187 differ in some 2,000; 5.10 and 6.1 in 53,512; 6.1 and 6.12 in 60,883.
FAR = 4000
#: Folders of one configuration that are begun cold, so that old and new series last; and copies of one.
LIMIT = 4
#: Bytes of a folder (7.2's is the biggest: 1.9 GB), and what a new one has to leave free on the disk.
_SIZE, _SPARE = 2 << 30, 5 << 30
#: Seconds between two looks at folders that others build in.
_POLL = 0.2
#: Seconds for a question to git: two series are compared in less than one.
_GIT_SECONDS = 60.0
#: Where a folder is, or was to be moved when it was last lent: a tree, and the object folders that hold it.
_AT = "source"
_NAME = re.compile(r"[0-9a-f]{12}-[0-9]+")


@dataclass(frozen=True, order=True)
class _Known:
    """A folder that is there, and in how many paths it differs from the source that is wanted."""

    distance: int
    place: Path


def worktree(folder: Path) -> Path:
    """Return where the source lies in a build folder."""
    return folder / "src"


def is_current(folder: Path) -> bool:
    """Return whether builds still make use of a folder; an older ccsight gave them other names."""
    return bool(_NAME.fullmatch(folder.name))


@contextmanager
def borrowed(name: str, source: Source, deadline: Deadline, report: Report) -> Iterator[Path]:
    """Hold the folder of some configuration, ``name``, that is nearest to a source: near, or empty.

    One that is near but busy is waited for: a build of few files ends sooner than one of all begins.
    Raises DeadlineExceeded, NoSpace or UsageError (cache not writable).
    """
    with ExitStack() as held:
        place = _taken(name, source, held, deadline)
        if place is None:
            report(f"waiting for a build folder near {source.title}")
        while place is None:
            deadline.check("waiting for a build folder")
            process.pause(_POLL, deadline)
            place = _taken(name, source, held, deadline)
        yield place


def _taken(name: str, source: Source, held: ExitStack, deadline: Deadline) -> Path | None:
    """Take what is free, and write down where it goes; None when it is worth waiting for others."""
    with locked(_base(name), deadline):
        known = _known(name, source)
        near = [each for each in known if each.distance <= FAR]
        place = next((each.place for each in near if _hold(each.place, held)), None)
        if place is None and not near:
            if not known or (len(known) < LIMIT and _has_room()):
                place = _new(name, held)
            else:
                place = next((each.place for each in known if _hold(each.place, held)), None)
            if place:  # what another source left is of no use, and old products could be in the way
                objects.wipe(worktree(place))
        if place:
            write_atomically(place / _AT, "\n".join([source.tree, *map(str, source.objects)]).encode())
        return place


def spread(name: str, source: Source, count: int, deadline: Deadline, report: Report) -> int:
    """Copy the folder that is nearest to a source until so many are near it; return how many are.

    There may be fewer: ``LIMIT`` at the most, none where none is near yet, and no more than the disk has
    room for. What a kill leaves half copied is never used. Raises DeadlineExceeded, NoSpace or ProcessFailed.
    """
    while 0 < len(near := _near(name, source)) < min(count, LIMIT):
        if not _has_room():
            report("building one kernel at a time: another build folder would leave less than 5 GB free")
            break
        with locked(near[0].place, deadline):
            if len(_near(name, source)) == len(near):  # nobody else made one meanwhile
                report(f"copying the build folder of {source.title}")
                _copy(near[0].place, name, deadline)
    return len(near)


def _copy(origin: Path, name: str, deadline: Deadline) -> None:
    """Make one more of a folder whose lock is held. Times are kept: make(1) and git go by them."""
    with ExitStack() as held:
        with locked(_base(name), deadline):
            place = _free_number(name, held)
        draft = _draft(place)
        try:
            process.run(["cp", "-a", "--reflink=auto", str(origin), str(draft)], deadline)
            objects.refresh(worktree(draft), deadline)
            draft.rename(place)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _near(name: str, source: Source) -> list[_Known]:
    return [each for each in _known(name, source) if each.distance <= FAR]


def _known(name: str, source: Source) -> list[_Known]:
    """Return the folders of a configuration, the nearest first."""
    places = _base(name).parent.glob(f"{name}-*/")
    return sorted(_Known(_distance(_at(place), source), place) for place in places if is_current(place))


def _at(folder: Path) -> Source | None:
    try:
        tree, *others = (folder / _AT).read_text().splitlines()
    except (OSError, ValueError):
        return None  # killed before it was lent to anybody
    return Source(tree, tuple(map(Path, others)), folder.name)


@cache
def _distance(old: Source | None, new: Source) -> int:
    """Return in how many paths two sources differ; very many when the objects of one are gone."""
    if old is None:
        return sys.maxsize
    if old.tree == new.tree:
        return 0
    try:
        return len(objects.changed_paths(old, new, Deadline(_GIT_SECONDS)))
    except GitFailed:
        return sys.maxsize


def _new(name: str, held: ExitStack) -> Path:
    place = _free_number(name, held)
    place.mkdir()
    return place


def _free_number(name: str, held: ExitStack) -> Path:
    """Return the first folder that is not there and that nobody is about to make, its lock held."""
    for number in itertools.count(1):
        place = _base(f"{name}-{number}")
        if not place.exists() and _locks(place, held):
            shutil.rmtree(_draft(place), ignore_errors=True)  # under the lock, a draft is a killed run's
            return place
    raise AssertionError  # there are always more numbers


def _hold(place: Path, held: ExitStack) -> bool:
    """Take the lock of a folder if it is free; and it may have been pruned until we had it."""
    return _locks(place, held) and place.is_dir()


def _locks(place: Path, held: ExitStack) -> bool:
    try:
        held.enter_context(locked(place, Deadline(0)))
    except DeadlineExceeded:
        return False
    return True


def _has_room() -> bool:
    return shutil.disk_usage(cache_dir()).free > _SIZE + _SPARE


def _draft(place: Path) -> Path:
    return place.with_name(f".{place.name}.draft")


def _base(name: str) -> Path:
    return cache_dir() / FOLDERS / name
