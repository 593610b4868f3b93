"""What the parts of a page can be chosen by: a machine, a check, a verdict. Style sheets do it, no script.

Names come from evidence, so none gets into a class or a rule: these have numbers.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

#: What is of whatever is chosen.
_EVERY = "every"


@dataclass(frozen=True)
class Filter:
    """One thing to choose by: ``key`` begins its classes, ``label`` names it, ``choices`` can be chosen."""

    key: str
    label: str
    choices: tuple[str, ...]
    _numbers: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_numbers", {choice: at for at, choice in enumerate(self.choices)})

    def mark(self, names: Iterable[str]) -> str:
        """Return the classes of what is of these; choices that there are not have none."""
        return " ".join(f"{self.key}{self._numbers[name]}" for name in names if name in self._numbers)

    @property
    def every(self) -> str:
        """The class of what stays whatever is chosen."""
        return f"{self.key}-{_EVERY}"


@dataclass(frozen=True)
class Filters:
    """All filters of a page."""

    machine: Filter
    check: Filter
    verdict: Filter

    @classmethod
    def of(cls, machines: Iterable[str], checks: Iterable[str], verdicts: Iterable[str]) -> "Filters":
        """Return filters with each choice once."""
        return cls(
            Filter("m", "machine", tuple(dict.fromkeys(machines))),
            Filter("c", "check", tuple(sorted({*checks} - {""}))),
            Filter("v", "verdict", tuple(dict.fromkeys(verdicts))),
        )

    @property
    def all(self) -> tuple[Filter, ...]:
        """Those that leave a choice."""
        return tuple(each for each in (self.machine, self.check, self.verdict) if len(each.choices) > 1)

    def mark(self, machines: Iterable[str], checks: Iterable[str], verdicts: Iterable[str]) -> str:
        """Return the classes of what is of these machines, of all machines where there are none, …"""
        pairs = ((self.machine, machines), (self.check, checks), (self.verdict, verdicts))
        return " ".join(filter(None, (_of(each, tuple(names)) for each, names in pairs)))


def _of(each: Filter, names: tuple[str, ...]) -> str:
    return each.mark(names) if names else each.every
