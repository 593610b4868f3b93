"""A register value as rows a person can read: bits, name, number, words, meaning."""

from collections.abc import Callable
from dataclasses import dataclass

from ccsight.arm64.caches import Layout, geometry, human_size, listed
from ccsight.arm64.registers import REGISTERS, Field, Register, base_name
from ccsight.arm64.suggest import nearest
from ccsight.errors import UsageError
from ccsight.evidence.model import SCHEMA
from ccsight.evidence.record import Hex, Record, to_json
from ccsight.report.blocks import Block, Grid, Line, Page, Tone, grid, line, spans


@dataclass(frozen=True)
class FieldRow:
    """One field of a value. ``words`` is "" where the number says it all."""

    bits: str
    name: str
    number: int
    words: str
    meaning: str


@dataclass(frozen=True)
class Decoded:
    """A value under one layout of its register. ``facts`` are what several fields say together."""

    title: str
    rows: tuple[FieldRow, ...]
    facts: tuple[str, ...]


#: What a field's number stands for, where the field itself has no word for it.
_UNITS: dict[tuple[str, str], Callable[[int], str]] = {
    ("CTR_EL0", "IminLine"): lambda n: human_size(4 << n),
    ("CTR_EL0", "DminLine"): lambda n: human_size(4 << n),
    ("CTR_EL0", "TminLine"): lambda n: human_size(4 << n) if n else "",
    ("CTR_EL0", "ERG"): lambda n: human_size(4 << n) if n else "not given",
    ("CTR_EL0", "CWG"): lambda n: human_size(4 << n) if n else "not given",
    ("CCSIDR_EL1", "LineSize"): lambda n: human_size(16 << n),
    ("CCSIDR_EL1", "Associativity"): lambda n: f"{n + 1} way{'s' if n else ''}",
    ("CCSIDR_EL1", "NumSets"): lambda n: f"{n + 1} set{'s' if n else ''}",
    ("CSSELR_EL1", "Level"): lambda n: f"level {n + 1}",
}

#: The name of the row for bits that are set and belong to no field.
_STRAY = "RES0"


def words(register: Register, field: Field, value: int) -> str:
    """Return what a field of a value stands for in words; "" where the number says it all."""
    number = field.extract(value)
    if field.words:
        return field.say(value)
    unit = _UNITS.get((register.name, field.name))
    return unit(number) if unit else ""


def brief(register: Register, field: Field, value: int) -> str:
    """Return a field of a value for a narrow table: its words, else its number."""
    return words(register, field, value) or str(field.extract(value))


def field_rows(register: Register, value: int) -> tuple[FieldRow, ...]:
    """Return every field of a value from bit 0 up, then the bits that belong to none but are set."""
    rows = [
        FieldRow(_bits(field), field.name, field.extract(value), words(register, field, value), field.meaning)
        for field in register.fields
    ]
    stray = value & ~register.mask & ~register.res1
    if stray:
        rows.append(
            FieldRow("other", _STRAY, stray, f"{stray:#x}", "set, but in no field that ccsight knows")
        )
    return tuple(rows)


def _bits(field: Field) -> str:
    return f"{field.hi}:{field.lo}" if field.hi > field.lo else str(field.lo)


def decode(reading: str, value: int) -> tuple[Decoded, ...]:
    """Return a value decoded: once, or for CCSIDR_EL1 once for each layout.

    Raises UsageError for a register that is not known or a value of more than 64 bits.
    """
    name = base_name(reading)
    if name not in REGISTERS:
        raise UsageError(
            f"{reading!r} is not a register that ccsight decodes",
            evidence=nearest(name, REGISTERS),
            next_step=f"it decodes {', '.join(REGISTERS)}",
        )
    if not 0 <= value < 1 << 64:
        raise UsageError(
            f"{value:#x} does not fit into a 64-bit register", next_step="give at most 16 hex digits"
        )
    if name == "CCSIDR_EL1":
        return tuple(_decode_ccsidr(value, layout) for layout in Layout)
    register = REGISTERS[name]
    facts = (_caches(value),) if name == "CLIDR_EL1" else ()
    return (Decoded(register.meaning, field_rows(register, value), facts),)


def decode_reading(reading: str, value: int, layout: Layout) -> Decoded | None:
    """Return a reading of a capture decoded under the layout its CPU uses; None for an unknown register."""
    name = base_name(reading)
    if name not in REGISTERS:
        return None
    return _decode_ccsidr(value, layout) if name == "CCSIDR_EL1" else decode(name, value)[0]


def _decode_ccsidr(value: int, layout: Layout) -> Decoded:
    register = layout.register
    shape = geometry(value, layout)
    counts = [
        words(register, register.field(name), value) for name in ("Associativity", "NumSets", "LineSize")
    ]
    fact = (
        "one set of one way: made up by KVM, not a cache's size"
        if shape.is_fabricated
        else f"{' × '.join(counts)} a line = {human_size(shape.size)}"
    )
    return Decoded(register.meaning, field_rows(register, value), (fact,))


def _caches(clidr: int) -> str:
    found = [f"{cache.name} (CSSELR_EL1 {cache.selector:#x})" for cache in listed(clidr)]
    return f"caches: {', '.join(found) or 'none'}"


def render(reading: str, value: int) -> Page:
    """Return the page of one register value, field by field, for ``ccsight decode``."""
    layouts = decode(reading, value)
    page: list[Block] = [line((base_name(reading), Tone.STRONG), f"  {value:#018x}")]
    for decoded in layouts:
        page += [Line(), line(decoded.title), _field_grid(decoded)]
        page += [line("  ", (fact, Tone.STRONG)) for fact in decoded.facts]
    if len(layouts) > 1:
        page += [Line(), line("ID_AA64MMFR2_EL1.CCIDX tells which of the layouts holds.")]
    return tuple(page)


def _field_grid(decoded: Decoded) -> Grid:
    rows = []
    width = max(len(str(row.number)) for row in decoded.rows if row.name != _STRAY)
    for row in reversed(decoded.rows):
        tone = Tone.PLAIN if row.number else Tone.DIM
        number = "" if row.name == _STRAY else str(row.number)
        rows.append(
            (
                spans((f"{row.bits:>5}", Tone.DIM)),
                spans((row.name, tone)),
                spans((f"{number:>{width}}", tone)),
                spans((row.words, Tone.STRONG if row.number else Tone.DIM)),
                spans((row.meaning, Tone.DIM)),
            )
        )
    return grid(rows, fixed=4)


class Layouts(Record, frozen=True):
    """What ``ccsight decode --json`` prints: the value under each layout that its register may have."""

    schema: int
    register: str
    value: Hex
    layouts: tuple[Decoded, ...]


def document(reading: str, value: int) -> bytes:
    """Return :class:`Layouts` as JSON."""
    return to_json(Layouts(schema=SCHEMA, register=reading, value=Hex(value), layouts=decode(reading, value)))
