"""Suspects in a row: kernels that follow each other, or one with more and more of what another one adds."""

from collections.abc import Sequence
from dataclasses import dataclass

from ccsight import specs
from ccsight.campaign.search import halved
from ccsight.kernels.parts import Part
from ccsight.specs import Spec


@dataclass(frozen=True)
class Row:
    """Kernels in a row, by their specs."""

    kernels: tuple[str, ...]
    built_here: bool = False

    @property
    def first(self) -> str:
        """The good end."""
        return self.kernels[0]

    @property
    def last(self) -> str:
        """The bad end."""
        return self.kernels[-1]

    def left(self, good: Sequence[str], bad: str) -> tuple[str, ...]:
        """See :class:`suspects.Suspects`."""
        rest = self.row(good, bad)
        return tuple(rest[number] for number in halved(len(rest)))

    def row(self, good: Sequence[str], bad: str) -> tuple[str, ...]:
        """See :class:`suspects.Suspects`."""
        start = max(self.kernels.index(each) for each in good) + 1
        return self.kernels[start : self.kernels.index(bad) + 1]

    def spec(self, suspect: str) -> str:
        """Return the suspect: it is a spec."""
        return suspect

    def short(self, suspect: str) -> str:
        """Return the suspect."""
        return suspect

    def title(self, suspect: str) -> str:
        """Return nothing: the spec says it."""
        return ""

    def before(self, suspect: str) -> tuple[str, ...]:
        """Return the one before it."""
        return (self.kernels[self.kernels.index(suspect) - 1],)

    def without(self, suspect: str) -> str | None:
        """Return None: versions cannot be taken back."""
        return None


@dataclass(frozen=True)
class Series:
    """A kernel with more and more of what another one has in addition. The Nth suspect of M is ``N/M``."""

    like: Spec
    parts: tuple[Part, ...]
    built_here: bool = True

    @property
    def first(self) -> str:
        """The good end: without any."""
        return f"0/{len(self.parts)}"

    @property
    def last(self) -> str:
        """The bad end: with all."""
        return f"{len(self.parts)}/{len(self.parts)}"

    def left(self, good: Sequence[str], bad: str) -> tuple[str, ...]:
        """See :class:`suspects.Suspects`."""
        rest = self.row(good, bad)
        return tuple(rest[number] for number in halved(len(rest)))

    def row(self, good: Sequence[str], bad: str) -> tuple[str, ...]:
        """See :class:`suspects.Suspects`."""
        start = max(map(_number, good)) + 1
        return tuple(f"{number}/{len(self.parts)}" for number in range(start, _number(bad) + 1))

    def spec(self, suspect: str) -> str:
        """Return the kernel with all additions up to this one."""
        return self._with(self.parts[: _number(suspect)])

    def _with(self, parts: Sequence[Part]) -> str:
        options = (*self.like.options, *(part.option for part in parts))
        return specs.render(self.like.kind, self.like.value, options)

    def short(self, suspect: str) -> str:
        """Return the suspect."""
        return suspect

    def title(self, suspect: str) -> str:
        """Return what the addition is called."""
        number = _number(suspect)
        return self.parts[number - 1].title if number else self.like.text

    def before(self, suspect: str) -> tuple[str, ...]:
        """Return the one before it."""
        return (f"{_number(suspect) - 1}/{len(self.parts)}",)

    def without(self, suspect: str) -> str | None:
        """Return the kernel with all additions but this one; None where there are no others."""
        others = [part for number, part in enumerate(self.parts, 1) if number != _number(suspect)]
        return self._with(others) if others else None


def _number(suspect: str) -> int:
    return int(suspect.partition("/")[0])
