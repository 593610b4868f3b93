"""A core's cache hierarchy as a drawing of characters: nearest level on top, memory at the bottom.

Instruction side on the left, data side on the right. A double line is the point of coherency: what is
above it has to be cleaned before everybody sees it.
"""

from collections.abc import Iterator

from ccsight.arm64.caches import Cache, Side, geometry, human_size, listed
from ccsight.arm64.registers import CLIDR_EL1
from ccsight.arm64.silicon import Core
from ccsight.report.blocks import Line, Tone, line

#: Characters inside the walls; one of them is the wall between two sides.
_INNER = 65
_HALF = _INNER // 2
_INDENT = "  "
#: What stands where a horizontal line meets the walls between sides, by (there is one below, one above).
_JOINTS = {
    "─": {(False, False): "─", (True, False): "┬", (False, True): "┴", (True, True): "┼"},
    "═": {(False, False): "═", (True, False): "╤", (False, True): "╧", (True, True): "╪"},
}
_ENDS = {"─": ("├", "┤"), "═": ("╞", "╡")}

_Cells = tuple[str, ...]  # one for a unified cache, two for the sides


def draw(core: Core) -> tuple[Line, ...]:
    """Return the drawing of a core's caches."""
    levels: dict[int, list[Cache]] = {}
    for cache in listed(core.clidr):
        levels.setdefault(cache.level, []).append(cache)
    page = [line(_INDENT, "┌" + "─" * _INNER + "┐"), _wall(("CPU".center(_INNER - 2),))]
    split = False
    for level, caches in levels.items():
        below = _is_split(caches)
        page.append(_floor(core, level - 1, len(levels), (below, split)))
        page += _level(core, caches)
        split = below
    page.append(_floor(core, len(levels), len(levels), (False, split)))
    page += [_wall(("memory".center(_INNER - 2),)), line(_INDENT, "└" + "─" * _INNER + "┘")]
    return tuple(page)


def _is_split(caches: list[Cache]) -> bool:
    return any(cache.side is not Side.UNIFIED for cache in caches)


def _level(core: Core, caches: list[Cache]) -> Iterator[Line]:
    """Yield the two lines of a level: names with sizes, and shapes."""
    sides = (Side.INSTRUCTION, Side.DATA) if _is_split(caches) else (Side.UNIFIED,)
    by_side = {cache.side: _words(core, cache) for cache in caches}
    cells = [by_side.get(side, ("", "")) for side in sides]
    yield _wall(tuple(name for name, _ in cells), Tone.STRONG)
    yield _wall(tuple(shape for _, shape in cells))


def _words(core: Core, cache: Cache) -> tuple[str, str]:
    shape = geometry(core.ccsidr[cache.selector], core.layout)
    name = f"{cache.name}  {human_size(shape.size)}{', unified' if cache.side is Side.UNIFIED else ''}"
    return name, f"{_count(shape.ways, 'way')} × {_count(shape.sets, 'set')} × {shape.line} B"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _wall(cells: _Cells, tone: Tone = Tone.PLAIN) -> Line:
    width = _INNER if len(cells) == 1 else _HALF
    parts: list[str | tuple[str, Tone]] = [_INDENT, "│"]
    for cell in cells:
        parts += [(f" {cell:<{width - 1}}", tone), "│"]
    return line(*parts)


def _floor(core: Core, level: int, last: int, walls: tuple[bool, bool]) -> Line:
    """Return the line below a level, with the points that lie there."""
    points = [name for name in ("LoC", "LoUIS", "LoUU") if _lies_at(core, name, level, last)]
    unified = ", ".join(name for name in points if name != "LoC")
    stroke = "═" if "LoC" in points else "─"
    left = f"{stroke} point of coherency (LoC) " if "LoC" in points else ""
    right = f"{stroke} unification ({unified}) " if unified else ""
    begin, end = _ENDS[stroke]
    inner = left.ljust(_HALF, stroke) + _JOINTS[stroke][walls] + right.ljust(_HALF, stroke)
    return line(_INDENT, begin + inner + end)


def _lies_at(core: Core, name: str, level: int, last: int) -> bool:
    """Tell whether a point is below this level; a level that there is not means: below all of them."""
    return min(CLIDR_EL1.field(name).extract(core.clidr), last) == level
