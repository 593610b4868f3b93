"""Where a bisection looks next. Pure: what is left of the suspects in, the next one or the answer out.

Two things hold whatever the history looks like. The suspect that brought the fault is always among those
that are left: they are what ``bad`` has in its history and no good one has. And nothing is called found while
another one is left.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Try:
    """The suspect to be tried next, and how many more steps it then takes, if none is skipped."""

    suspect: str
    steps: int


@dataclass(frozen=True)
class Found:
    """The first bad one: all that came before it is good."""

    suspect: str


@dataclass(frozen=True)
class Among:
    """It is one of these: the others than the last could not be tried."""

    suspects: tuple[str, ...]


@dataclass(frozen=True)
class Nowhere:
    """None of the suspects: the fault came with one that was left out of them."""


Next = Try | Found | Among | Nowhere


def next_step(left: Sequence[str], bad: str, skipped: Collection[str]) -> Next:
    """Return what to do, given what is ``left``, the one that halves it best first.

    ``bad`` is the oldest that is known to be bad; it is not one of ``left`` where only some of a history
    are suspects and none of those has been bad so far.
    """
    others = [suspect for suspect in left if suspect != bad]
    untried = [suspect for suspect in others if suspect not in skipped]
    if untried:
        return Try(untried[_aside(len(others) - len(untried), len(untried))], steps(len(untried) + 1) - 1)
    own = (bad,) if bad in left else ()
    if others:
        return Among((*others, *own))
    return Found(bad) if own else Nowhere()


def _aside(skipped: int, untried: int) -> int:
    """Return how far from the best one to try next, where some that lie there could not be.

    What does not build seldom comes alone: the more were skipped the farther, to the edge at last.
    """
    return min(skipped * skipped, untried * skipped // (skipped + 1))


def rounds(suspects: int, width: int) -> int:
    """Return how many rounds of ``width`` trials single out one of so many, the last known to be bad."""
    count = 0
    while suspects > 1:
        suspects = math.ceil(suspects / (width + 1))
        count += 1
    return count


def steps(suspects: int) -> int:
    """Return how many trials one after the other single out one of so many, the last known to be bad."""
    return rounds(suspects, 1)


def halved(count: int) -> list[int]:
    """Return the numbers of so many suspects in a row, the last one bad: what halves them best first."""
    return sorted(range(count), key=lambda number: (-min(number + 1, count - number - 1), number))
