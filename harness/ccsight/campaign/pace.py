"""How many suspects are tried at once: what makes a search shortest, by what earlier ones took. Pure."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ccsight.campaign.search import rounds
from ccsight.evidence.bisection import Step

#: Seconds below which nothing can have been built.
_FROM_STORE = 2.0


@dataclass(frozen=True)
class Pace:
    """What one suspect takes by itself: ``seconds`` on the clock, and ``cpu`` seconds of work in them."""

    seconds: float
    cpu: float

    def round(self, width: int, cpus: int) -> float:
        """Return the seconds of a round of so many at once.

        No build is shorter than by itself, whose links and boots keep one CPU busy and leave the others idle;
        and no round is shorter than all its work on all CPUs.
        """
        return max(self.seconds, width * self.cpu / cpus)


def pace(steps: Iterable[Step], *, built_here: bool) -> Pace | None:
    """Return the pace of the steps so far; None while none has been measured.

    Where kernels are built here only what was built tells what is to come: an end may lie in the store
    already. Of those that were built, the usual one: the first of a search may be a whole kernel.
    """
    measured = [step for step in steps if step.looks and step.cpu]
    built = [step for step in measured if step.build >= _FROM_STORE or not built_here]
    if not built:
        return None
    alone = [step for step in built if step.width == 1] or built
    return Pace(
        statistics.median_low([step.build + step.seconds for step in alone]),
        statistics.median_low([step.cpu for step in built]),
    )


def width(suspects: int, most: int, cpus: int, known: Pace | None) -> int:
    """Return how many of so many suspects to try at once, the last of which is known to be bad."""
    if known is None or known.cpu <= 0:
        return 1
    possible = range(1, max(1, min(most, suspects - 1)) + 1)
    return min(possible, key=lambda each: (rounds(suspects, each) * known.round(each, cpus), each))


def spread(row: Sequence[str], width: int) -> tuple[str, ...]:
    """Return so many of a row of suspects, oldest first, that part it most evenly; the last one is bad."""
    count = len(row)
    places = {round(number * count / (width + 1)) - 1 for number in range(1, width + 1)}
    return tuple(row[place] for place in sorted(places) if 0 <= place < count - 1)
