"""What the store holds: built kernels and their lineages, their sizes and ages, and how to be rid of them."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import DeadlineExceeded, InfraError
from ccsight.kernels import elsewhere, lineage, stored
from ccsight.paths import cache_dir
from ccsight.store import locked

#: Everything that ``kernels prune`` may remove: all of it can be made or fetched again.
_FOLDERS = (
    stored.BUILT,
    lineage.FOLDERS,
    elsewhere.FOLDERS,
    "kernels",
    "images",
    "sources",
    "histories",
    "trees",
)
_DAY = 86400.0


@dataclass(frozen=True)
class Stock:
    """One folder of the store. ``days`` is how long ago it was last used, ``size`` is in bytes."""

    kind: str
    name: str
    what: str
    size: int
    days: float
    place: Path


def held() -> tuple[Stock, ...]:
    """Return what the store holds, the most recently used first."""
    return tuple(sorted(_held(), key=lambda stock: stock.days))


def prune(older_than: float) -> tuple[Stock, ...]:
    """Remove what was not used for so many days, and return it; what another process holds stays.

    Build folders under names that no build looks for any more go in any case.
    """
    gone = []
    for stock in held():
        if stock.days < older_than and not _is_left_over(stock):
            continue
        try:
            with locked(stock.place, Deadline(0.1)):
                # A reader that has just been given the folder must not find half of it.
                doomed = stock.place.with_name(f".{stock.name}.doomed")
                stock.place.rename(doomed)
                shutil.rmtree(doomed)
        except DeadlineExceeded:
            continue
        gone.append(stock)
    return tuple(gone)


def _is_left_over(stock: Stock) -> bool:
    return stock.kind == lineage.FOLDERS and not lineage.is_current(stock.place)


def _held() -> Iterator[Stock]:
    for kind in _FOLDERS:
        for place in sorted((cache_dir() / kind).glob("[!.]*")):
            if place.is_dir():
                days = (time.time() - place.stat().st_mtime) / _DAY
                yield Stock(kind, place.name, _what(place), _size(place), days, place)


def _what(place: Path) -> str:
    try:
        about = stored.read(place)
    except InfraError:
        folders = (lineage.FOLDERS, elsewhere.FOLDERS)
        return "build folder" if place.parent.name in folders else "unreadable"
    if about.build is None:
        return about.release
    return " + ".join([f"{about.build.source}", *(patch.subject for patch in about.build.patches)])


def _size(place: Path) -> int:
    return sum(path.lstat().st_size for path in place.rglob("*") if path.is_file())
