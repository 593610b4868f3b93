"""A point in time by which something must have ended. Every wait in the tree takes one."""

import time

from ccsight.errors import DeadlineExceeded


class Deadline:
    """So many seconds from now, on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds that are left; 0 when it has passed."""
        return max(0.0, self._end - time.monotonic())

    @property
    def passed(self) -> bool:
        """True when no time is left."""
        return self.remaining == 0.0

    def within(self, seconds: float) -> "Deadline":
        """Return the earlier of this deadline and ``seconds`` from now."""
        return Deadline(min(seconds, self.remaining))

    def check(self, what: str) -> None:
        """Raise DeadlineExceeded, naming what was waited for, when no time is left."""
        if self.passed:
            raise DeadlineExceeded(f"{what} did not end within {self.seconds:.0f} s")
