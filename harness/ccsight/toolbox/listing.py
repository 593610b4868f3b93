"""What the archive's signed lists say, reduced to the rows that somebody needs: a small file in the cache.

The lists themselves are tens of megabytes; such a file is made of them on demand, once for each kind of row.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from ccsight.deadline import Deadline
from ccsight.paths import cache_dir
from ccsight.store import locked, write_atomically
from ccsight.toolbox import apt, sources, stanzas, tools

#: Raised when a type of rows changes: what another schema wrote is made anew.
_SCHEMA = 2
#: Seconds: lists younger than this are not fetched again for something that they lack.
FRESH = 600.0


class Row(Protocol):
    """A package of the archive. ``sha256`` tells it from every other one, whatever suites it is in."""

    @property
    def version(self) -> str:
        """By which rows are sorted, as Debian's versions are."""
        ...

    @property
    def sha256(self) -> str:
        """By which a row is known."""
        ...


R = TypeVar("R", bound=Row)


class Listed(msgspec.Struct, Generic[R], frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """All rows, oldest version first. ``origin`` is what the environment said of the archive.

    ``made`` is a time(), ``config`` apt's configuration, with which their files are fetched. ``gone`` are the
    hashes of rows whose files the archive turned out not to have.
    """

    schema: int
    origin: str
    made: float
    config: str
    rows: tuple[R, ...]
    gone: frozenset[str] = frozenset()


L = TypeVar("L", bound=Listed[Any])


@dataclass(frozen=True)
class Listing(Generic[L]):
    """What is kept in the cache's file ``name``: its type, which lists it is made of, and how."""

    name: str
    kind: type[L]
    architecture: str
    rows_of: Callable[[apt.View, Deadline], Iterable[Row]]

    @property
    def _place(self) -> Path:
        return cache_dir() / "apt" / self.name

    def cached(self) -> L | None:
        """Return what is in the cache, or None when there is nothing of this archive."""
        try:
            found = msgspec.json.decode(self._place.read_bytes(), type=self.kind)
        except (OSError, msgspec.DecodeError):
            return None
        return found if (found.schema, found.origin) == (_SCHEMA, sources.origin()) else None

    def load(self, deadline: Deadline, report: tools.Report) -> L:
        """Return all rows; the network is used only when the cache has none."""
        return self.cached() or self.refresh(0.0, deadline, report)

    def refresh(self, since: float, deadline: Deadline, report: tools.Report) -> L:
        """Read the archive's lists anew, unless another process did so after ``since`` (a time()).

        Raises ArchiveError when the archive cannot be reached or is not signed.
        """
        with locked(self._place, deadline):
            found = self.cached()
            if found and found.made > since:
                return found
            view = apt.update(apt.available(deadline, report), self.architecture, deadline, report)
            once = {row.sha256: row for row in reversed([*self.rows_of(view, deadline)])}
            found = self.kind(
                schema=_SCHEMA,
                origin=sources.origin(),
                made=time.time(),
                config=str(view.config),
                rows=tuple(sorted(once.values(), key=lambda row: stanzas.by_version(row.version))),
            )
            write_atomically(self._place, msgspec.json.encode(found))
            return found

    def forget(self, row: Row, deadline: Deadline) -> None:
        """Note that the archive lists what it does not have; the next refresh asks again."""
        with locked(self._place, deadline):
            if found := self.cached():
                left = msgspec.structs.replace(found, gone=found.gone | {row.sha256})
                write_atomically(self._place, msgspec.json.encode(left))
