"""What a page says once, however often it was read: what values stand for, and views that are all the same.

A run has hundreds of cells and few values: taken apart at each reading, they would make most of its page.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ccsight.arm64.registers import base_name
from ccsight.report.decoded import Decoded
from ccsight.report.page import Machine, Observed
from ccsight.report.seen import Register

_Key = tuple[str, str, str]


@dataclass(frozen=True)
class Value:
    """A value of a register, taken apart, and the anchor under which it lies on the page."""

    anchor: str
    name: str
    said: str
    decoded: Decoded


class Glossary:
    """All values that the machines of a page show, and which cells show the same as an earlier one."""

    def __init__(self, machines: Iterable[Machine]) -> None:
        self._values: dict[_Key, Value] = {}
        self._first: dict[object, Observed] = {}
        for observed in (each for machine in machines for each in machine.observed):
            if self._first.setdefault(_content(observed), observed) is observed:
                for register in (register for seen in observed.seen for register in seen.registers):
                    self._enter(register)

    def _enter(self, register: Register) -> None:
        if register.decoded:
            anchor, name = f"value-{len(self._values)}", base_name(register.name)
            value = Value(anchor, name, register.said, register.decoded)
            self._values.setdefault(_key(register), value)

    @property
    def values(self) -> tuple[Value, ...]:
        """Each value, register by register."""
        return tuple(sorted(self._values.values(), key=lambda each: (each.name, int(each.said, 16))))

    def anchor(self, register: Register) -> str:
        """Return where a reading's value is taken apart, "" where it is not."""
        return self._values[_key(register)].anchor if register.decoded else ""

    def first(self, observed: Observed) -> Observed | None:
        """Return the earlier cell of the page that shows the same in every register, None where none does."""
        found = self._first[_content(observed)]
        return None if found is observed else found


def _key(register: Register) -> _Key:
    return base_name(register.name), register.said, register.decoded.title if register.decoded else ""


def _content(observed: Observed) -> object:
    return tuple(
        (
            seen.vantage,
            seen.place,
            seen.program,
            seen.phase,
            *((each.name, each.said, _key(each)) for each in seen.registers),
        )
        for seen in observed.seen
    )
