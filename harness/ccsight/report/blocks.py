"""The words of a terminal page: spans with a tone, lines, grids. What they look like is the console's."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from ccsight.report.printable import printable


class Tone(Enum):
    """Why a span looks different from its neighbours."""

    PLAIN = auto()
    STRONG = auto()
    DIM = auto()
    GOOD = auto()
    BAD = auto()
    CAUTION = auto()


@dataclass(frozen=True)
class Span:
    """A piece of text. What cannot be printed is spelled out, so that it may come from a machine."""

    text: str
    tone: Tone = Tone.PLAIN

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", printable(self.text))


Spans = tuple[Span, ...]


@dataclass(frozen=True)
class Line:
    """One line, never wrapped: commands and paths stay whole."""

    spans: Spans = ()


@dataclass(frozen=True)
class Flow:
    """Phrases in a row, with a new line only between two of them; those lines are indented by ``hang``."""

    phrases: tuple[Spans, ...]
    hang: int = 0


@dataclass(frozen=True)
class Grid:
    """Rows of cells in columns; the first ``fixed`` columns never wrap."""

    rows: tuple[tuple[Spans, ...], ...]
    indent: int = 2
    fixed: int = 1


Block = Line | Flow | Grid
Page = tuple[Block, ...]


def spans(*parts: "str | Span | tuple[str, Tone]") -> Spans:
    """Return spans from plain strings, ``(text, tone)`` pairs and spans."""
    return tuple(_span(part) for part in parts)


def line(*parts: "str | Span | tuple[str, Tone]") -> Line:
    """Return a line of such parts."""
    return Line(spans(*parts))


def grid(rows: "Iterable[Iterable[Spans]]", *, indent: int = 2, fixed: int = 1) -> Grid:
    """Return a grid; see :class:`Grid`."""
    return Grid(tuple(tuple(row) for row in rows), indent, fixed)


def _span(part: "str | Span | tuple[str, Tone]") -> Span:
    if isinstance(part, Span):
        return part
    return Span(part) if isinstance(part, str) else Span(*part)
