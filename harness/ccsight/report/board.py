"""The progress of a run's cells, to be told from any thread; how it looks is the console's."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Progress:
    """Where one cell is: ``word`` is how it ended, "" while it has not; ``since`` is a monotonic time."""

    cell: str
    stage: str = "waiting"
    since: float | None = None
    word: str = ""
    seconds: float = 0.0

    @property
    def elapsed(self) -> float | None:
        """Seconds of work so far, or in all; None before the first stage."""
        if self.word:
            return self.seconds
        return None if self.since is None else time.monotonic() - self.since


#: Seconds after which it is said where no terminal shows it, that a cell has come to another stage.
_LONG = 20.0


class Board:
    """All cells' progress. ``on_news`` is told of each that ended: which, the how-manieth, and of how many.

    So is it of each stage of those that take long, as boots of real machines do, whose word is "" then. Cells
    that nobody knew of at first, VMs that arrive in another boot of a cell, count as well.
    """

    def __init__(
        self, cells: Sequence[str], on_news: "Callable[[Progress, int, int], None] | None" = None
    ) -> None:
        self._lock = threading.Lock()
        self._cells = {cell: Progress(cell) for cell in cells}
        self._on_news = on_news
        self._started = time.monotonic()

    def stage(self, cell: str, stage: str) -> None:
        """Say that a cell enters a stage, such as ``booting``."""
        with self._lock:
            progress = self._cells.get(cell, Progress(cell))
            since = time.monotonic() if progress.since is None else progress.since
            self._cells[cell] = replace(progress, stage=stage, since=since)
            if self._on_news and time.monotonic() - since > _LONG:
                self._on_news(self._cells[cell], self._ended(), len(self._cells))

    def done(self, cell: str, word: str, seconds: float) -> None:
        """Say that a cell ended, how (``captured``, or a status word), and after how long."""
        with self._lock:
            progress = replace(self._cells.get(cell, Progress(cell)), word=word, seconds=seconds)
            self._cells[cell] = progress
            if self._on_news:
                self._on_news(progress, self._ended(), len(self._cells))

    def _ended(self) -> int:
        return sum(bool(other.word) for other in self._cells.values())

    def snapshot(self) -> tuple[Progress, ...]:
        """Return every cell's progress, in the order in which they were given."""
        with self._lock:
            return tuple(self._cells.values())

    @property
    def elapsed(self) -> float:
        """Seconds since the board was made."""
        return time.monotonic() - self._started
