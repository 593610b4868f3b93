"""The cache hierarchy that a guest finds, as boxes to draw: nearest level on top, memory at the bottom.

A box's width grows with the logarithm of the cache's size. Coordinates are those of an SVG viewBox.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise, product
from math import log2

from ccsight.arm64.caches import Geometry, Side, human_size, listed
from ccsight.arm64.registers import CLIDR_EL1
from ccsight.evidence.views import View
from ccsight.kvm.meaning import caches, describe

WIDTH = 340.0
_MIDDLE = WIDTH / 2
_TOP, _CPU_HEIGHT, _HEIGHT, _GAP = 4.0, 28.0, 46.0, 30.0
_NARROW, _WIDE = 100.0, 330.0
#: log2 of the sizes that get the narrowest and the widest box.
_SMALLEST, _LARGEST = 12, 26


@dataclass(frozen=True)
class Box:
    """One box: what it is called, what it says below its name, and of which kind it is."""

    kind: str  #: ``cpu``, ``cache``, ``fabricated`` (no real size), ``memory``
    name: str
    note: str
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """Where its text is centred."""
        return self.x + self.width / 2


@dataclass(frozen=True)
class Drawing:
    """Boxes, the lines between them (x1, y1, x2, y2), and where the point of coherency lies."""

    says: str
    height: float
    boxes: tuple[Box, ...]
    wires: tuple[tuple[float, float, float, float], ...]
    coherency: float
    loc: int


def draw(view: View) -> Drawing:
    """Return the drawing of what a view lists."""
    clidr = view.value("CLIDR_EL1") or 0
    loc = CLIDR_EL1.field("LoC").extract(clidr)
    rows = [[_box("cpu", ("vCPU", ""), (_MIDDLE, _TOP), (72.0, _CPU_HEIGHT))]]
    for boxes in _levels(view, _TOP + _CPU_HEIGHT + _GAP):
        rows.append(boxes)
    end = rows[-1][0].y + rows[-1][0].height + _GAP
    rows.append([_box("memory", ("memory", ""), (_MIDDLE, end), (_WIDE, _CPU_HEIGHT))])
    above = rows[min(loc, len(rows) - 2)][0]
    return Drawing(
        says=describe(view),
        height=end + _CPU_HEIGHT + _TOP,
        boxes=tuple(box for row in rows for box in row),
        wires=tuple(_wires(rows)),
        coherency=above.y + above.height + _GAP / 2,
        loc=loc,
    )


def _levels(view: View, top: float) -> Iterator[list[Box]]:
    shapes = caches(view)
    for _, level in groupby(listed(view.value("CLIDR_EL1") or 0), key=lambda cache: cache.level):
        sides = list(level)
        boxes = []
        for number, cache in enumerate(sides):
            middle = _MIDDLE if len(sides) == 1 else _MIDDLE * (0.5 + number)
            room = WIDTH / len(sides) - 10
            name = f"{cache.name} unified" if cache.side is Side.UNIFIED else cache.name
            boxes.append(_cache(name, shapes[cache.name], (middle, top), room))
        yield boxes
        top += _HEIGHT + _GAP


def _cache(name: str, shape: Geometry | None, at: tuple[float, float], room: float) -> Box:
    if shape is None or shape.is_fabricated:
        note = f"no size, {shape.line} B lines" if shape else "unreadable"
        return _box("fabricated", (name, note), at, (min(room, 150.0), _HEIGHT))
    share = (log2(shape.size) - _SMALLEST) / (_LARGEST - _SMALLEST)
    width = min(room, _NARROW + (_WIDE - _NARROW) * min(1.0, max(0.0, share)))
    return _box("cache", (f"{name} {human_size(shape.size)}", str(shape)), at, (width, _HEIGHT))


def _box(kind: str, words: tuple[str, str], at: tuple[float, float], size: tuple[float, float]) -> Box:
    """Return a box from its name and note, the middle of its top side, and its width and height."""
    (middle, top), (width, height) = at, size
    return Box(kind, *words, round(middle - width / 2, 1), round(top, 1), round(width, 1), height)


def _wires(rows: list[list[Box]]) -> Iterator[tuple[float, float, float, float]]:
    for upper, lower in pairwise(rows):
        alike = len(upper) == len(lower)  # then each side goes on to its own side below
        pairs = zip(upper, lower, strict=True) if alike else product(upper, lower)
        for above, below in pairs:
            yield above.middle, above.y + above.height, below.middle, below.y
