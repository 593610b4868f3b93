"""Which caches Linux makes of a device tree and CLIDR_EL1: the rule, for trees and registers of any kind.

drivers/base/cacheinfo.c and arch/arm64/kernel/cacheinfo.c of v6.1.176 and v6.12. Caches are *counted* in the
device tree (init_of_cache_level()), get their types from CLIDR_EL1 (populate_cache_leaves()), and each must
find a node (cache_setup_of_node()). Where one does not, v6.1 shows no caches at all; v6.12 goes on without
the device tree (use_arch_cache_info()).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ccsight.arm64.caches import listed
from ccsight.arm64.registers import CLIDR_EL1
from ccsight.evidence.linux import Leaf

#: What a CPU shows: its caches in Linux's order, None without the directory.
Shown = tuple[str, ...] | None

_UNIFIED = "Unified"
#: CLIDR_EL1.Ctype -> the types of the caches of that level. "" is none: Linux has a place, and shows nothing.
_TYPES = {1: ("Instruction",), 2: ("Data",), 3: ("Data", "Instruction"), 4: (_UNIFIED,)}
_LEVELS = 7


@dataclass(frozen=True)
class _Place:
    """A cache that Linux has counted; level 0 where CLIDR_EL1 had no cache for it."""

    level: int = 0
    type: str = ""

    @property
    def name(self) -> str:
        """As a guest's leaf is called."""
        return Leaf(level=self.level, type=self.type).name


def leaves_of(clidr: int) -> tuple[str, ...]:
    """Return the caches that Linux counts in CLIDR_EL1, data before instructions, as it numbers them."""
    return in_order(cache.name for cache in listed(clidr))


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of caches by level, data before instructions."""
    return tuple(sorted(names))


def outcomes(tree: Sequence[Leaf], clidr: int) -> frozenset[Shown]:
    """Return all that a kernel can show whose device tree lists ``tree``, on a CPU with this CLIDR_EL1."""
    places = _populated(tree, clidr)
    placed = _placed(places, tree)
    if placed is not None:
        return frozenset({_shown(placed)})
    return frozenset({None, _shown(places) if tree else leaves_of(clidr)})


def is_placed(tree: Sequence[Leaf], clidr: int) -> bool:
    """Tell whether each cache that Linux counts finds its node in the device tree."""
    return _placed(_populated(tree, clidr), tree) is not None


def _populated(tree: Sequence[Leaf], clidr: int) -> list[_Place]:
    """Count caches in the tree, level by level, and take their types from CLIDR_EL1."""
    levels = Counter(leaf.level for leaf in tree)
    count = len(tree) + (0 if levels[1] else 2)  # a node that says nothing counts as two
    places: list[_Place] = []
    for level in range(1, max(levels, default=1) + 1):
        types = _types(clidr, level)
        if len(places) + len(types) > count:
            break
        places += [_Place(level, each) for each in types]
    return places + [_Place()] * (count - len(places))


def _types(clidr: int, level: int) -> tuple[str, ...]:
    ctype = CLIDR_EL1.field(f"Ctype{level}").extract(clidr) if level <= _LEVELS else 0
    return _TYPES.get(ctype, ("",))


def _placed(places: Sequence[_Place], tree: Sequence[Leaf]) -> list[_Place] | None:
    """Give each cache behind level 1 the next node, the second of a level, too; None where none is left."""
    unified = {leaf.level: leaf.type == _UNIFIED for leaf in tree}
    further = iter(sorted(level for level in unified if level > 1))
    found, node = [], 1
    for place in places:
        if place.level != 1:
            following = next(further, None)
            if following is None:
                return None
            node = following
        found.append(_Place(place.level, place.type or (_UNIFIED if unified.get(node) else "")))
    return found


def _shown(places: Sequence[_Place]) -> tuple[str, ...]:
    """Return what is shown: all up to the first cache of no type (cache_add_dev())."""
    names = []
    for place in places:
        if not place.type:
            break
        names.append(place.name)
    return tuple(names)
