"""From which physical CPU to which one values are carried: what a sweep promises, and CR-003 requires. Pure.

guests/vmm/pairs.c has the same rule.
"""

from collections.abc import Iterator, Sequence
from itertools import permutations

from ccsight.evidence.views import Reading, View

#: From as many CPUs values are carried at most: the first of each kind, by what userspace reads there.
REPRESENTATIVES = 8


def pairs(pinned: Sequence[View]) -> list[tuple[View, View]]:
    """Return the pairs of userspace's views on two CPUs; a CPU that is alone is paired with itself."""
    if len(pinned) == 1:
        return [(pinned[0], pinned[0])]
    kinds: dict[tuple[Reading, ...], View] = {}
    for view in pinned:
        kinds.setdefault(tuple(view.readings.values()), view)
    chosen = list(kinds.values())[:REPRESENTATIVES]
    if len(chosen) == 1:
        chosen.append(pinned[-1])
    return list(permutations(chosen, 2))


def carried(pinned: Sequence[View]) -> Iterator[tuple[int | None, int | None, str, int]]:
    """Yield each write that must be there, in its order: from which CPU to which, the register, the value."""
    for origin, target in pairs(pinned):
        for name, reading in origin.readings.items():
            if reading.value is not None:
                yield origin.cpu, target.cpu, name, reading.value
