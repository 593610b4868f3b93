"""Two views, field by field: what differs, in the words of the register's own fields."""

from collections.abc import Iterator
from functools import lru_cache

from ccsight.arm64.caches import Layout
from ccsight.arm64.registers import REGISTERS, Field, Register, base_name
from ccsight.evidence.cases import Finding
from ccsight.evidence.views import View

#: What tells in which layout CCSIDR_EL1 is.
_FEATURES = "ID_AA64MMFR2_EL1"


def differences(old: View, new: View) -> Iterator[Finding]:
    """Yield each field of each register in which two views differ; each register that only one could read."""
    if old.readings == new.readings:
        return
    features = tuple(view.value(_FEATURES) or 0 for view in (old, new))
    for name in [*old.readings, *(name for name in new.readings if name not in old.readings)]:
        before, after = old.readings.get(name), new.readings.get(name)
        if before == after:
            continue
        if before and after and before.value is not None and after.value is not None:
            yield from _fields(name, (before.value, features[0]), (after.value, features[1]))
            continue
        words = [
            _say(reading.value, reading.problem) if reading else "not read" for reading in (before, after)
        ]
        yield Finding(subject=name, said=f"{words[0]} → {words[1]}", before=words[0], after=words[1])


def _say(value: int | None, problem: str) -> str:
    return problem if value is None else f"{value:#x}"


@lru_cache(maxsize=4096)
def _fields(name: str, before: tuple[int, int], after: tuple[int, int]) -> tuple[Finding, ...]:
    """Return each field that differs of two values, each with its view's ID_AA64MMFR2_EL1.

    Where the layouts of CCSIDR_EL1 differ, fields of the same name are compared.

    A fleet has few types of machines, so what one of them shows is asked for over and over.
    """
    old, new = ((value, Layout.of(features)) for value, features in (before, after))
    return tuple(_different(name, old, new))


def _different(name: str, before: tuple[int, Layout], after: tuple[int, Layout]) -> Iterator[Finding]:
    old_fields, new_fields = _named_fields(name, before[1]), _named_fields(name, after[1])
    for field in old_fields:
        other = new_fields.get(field)
        words = old_fields[field].say(before[0]), other.say(after[0]) if other else "–"
        if words[0] != words[1]:
            yield Finding(
                subject=f"{name}.{field}", said=f"{words[0]} → {words[1]}", before=words[0], after=words[1]
            )
    stray = [value & ~_register(name, layout).mask for value, layout in (before, after)]
    if stray[0] != stray[1]:
        said = f"{stray[0]:#x} → {stray[1]:#x}"
        yield Finding(subject=f"{name}.RES0", said=said, before=f"{stray[0]:#x}", after=f"{stray[1]:#x}")


def _register(name: str, layout: Layout) -> Register:
    return layout.register if base_name(name) == "CCSIDR_EL1" else REGISTERS[base_name(name)]


def _named_fields(name: str, layout: Layout) -> dict[str, Field]:
    return {field.name: field for field in _register(name, layout).fields}
