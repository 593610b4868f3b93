"""What captures of one machine show, as rows of a table: a label, and one side for each capture.

Read from the first vCPU; other vCPUs get a row only where they differ from it. Values are the
guest's; another vantage gets a row of its own where it is told otherwise, and so does what the
physical CPUs hold: as the host's kernel read it, or as the silicon table declares it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ccsight.arm64.caches import Layout, geometry, listed
from ccsight.arm64.kvm_ids import ccsidr_selector
from ccsight.arm64.registers import REGISTERS, SELECTORS, base_name, ccsidr
from ccsight.evidence.model import Capture
from ccsight.evidence.views import Reading, Vantage
from ccsight.kvm.hosts import cpu_list
from ccsight.kvm.meaning import describe
from ccsight.report.decoded import brief
from ccsight.report.sight import DECLARED, Sight

_NOTHING = "–"
#: Registers in the order in which a reader wants them; all others follow.
_ORDER = ("CLIDR_EL1", "CTR_EL0", *map(ccsidr, SELECTORS), "ID_AA64MMFR2_EL1")
#: Shown even where nothing changes, the registers with their value, the field alone.
_ALWAYS = ("CLIDR_EL1", "CTR_EL0")
#: What KVM shows of ID registers is always less than the CPU has.
_CACHE_REGISTERS = (*_ALWAYS, "CCSIDR_EL1")
_ALWAYS_FIELD = "ID_AA64MMFR2_EL1.CCIDX"


@dataclass(frozen=True)
class Shown:
    """One side of a row: a value, what it means, and whether it misleads who trusts it."""

    value: str
    note: str = ""
    caution: bool = False


@dataclass(frozen=True)
class Row:
    """One line of a table; ``sides`` has one entry for each capture."""

    label: str
    sides: tuple[Shown, ...]
    depth: int = 0

    @property
    def changed(self) -> bool:
        """True when the captures do not show the same."""
        return len({(side.value, side.note) for side in self.sides}) > 1


_Sights = tuple[Sight, ...]


def machine_rows(captures: Sequence[Capture], *, every: bool = False) -> tuple[Row, ...]:
    """Return the rows of a machine's table: what changes, or with ``every`` all that was read."""
    return (
        Row("caches a guest finds", tuple(map(_caches, captures))),
        *_registers(captures, every),
        Row("registers a VMM carries", tuple(map(_carried, captures))),
    )


def _caches(capture: Capture) -> Shown:
    vcpus = capture.vcpus()
    view = capture.view(Vantage.GUEST, vcpus[0]) if vcpus else None
    return Shown(describe(view) if view else "no guest looked")


def _carried(capture: Capture) -> Shown:
    if not capture.register_lists:
        return Shown(_NOTHING, "no list")
    ids = capture.register_lists[0].ids
    count = sum(ccsidr_selector(kvm_id) is not None for kvm_id in ids)
    return Shown(str(len(ids)), f"{count} of them CCSIDR")


def _registers(captures: Sequence[Capture], every: bool) -> Iterator[Row]:
    first: _Sights = ()
    for vcpu in sorted({vcpu for capture in captures for vcpu in capture.vcpus()}):
        sights = tuple(Sight(capture, vcpu) for capture in captures)
        for name in _names(sights):
            if not first:
                yield from _register(name, sights, every)
            elif _all(name, sights) != _all(name, first):
                yield from _other_vcpu(name, sights, vcpu)
        first = first or sights


def _other_vcpu(name: str, sights: _Sights, vcpu: int) -> Iterator[Row]:
    is_size = base_name(name) == "CCSIDR_EL1"
    sides = tuple(
        _size(sight, name, True) if is_size else _raw(sight, Vantage.GUEST, name) for sight in sights
    )
    yield Row(f"{name} vCPU {vcpu}", sides)
    yield from _other_vantages(name, sights)


def _names(sights: _Sights) -> list[str]:
    seen = {name: None for sight in sights for view in sight.views.values() for name in view.readings}
    return [name for name in _ORDER if name in seen] + [name for name in seen if name not in _ORDER]


def _all(name: str, sights: _Sights) -> list[dict[Vantage, Reading | None]]:
    return [{vantage: sight.reading(vantage, name) for vantage in sight.views} for sight in sights]


def _register(name: str, sights: _Sights, every: bool) -> Iterator[Row]:
    """Yield a register's rows: its value, other vantages that differ, its fields that do."""
    if base_name(name) == "CCSIDR_EL1":
        yield from _ccsidr(name, sights, every)
        return
    value = Row(name, tuple(_raw(sight, Vantage.GUEST, name) for sight in sights))
    others = (*_other_vantages(name, sights), *_physical(name, sights, every))
    fields = tuple(_fields(name, sights, every))
    if every or name in _ALWAYS or others or (value.changed and not fields):
        yield value
        yield from others
        yield from fields
    else:
        yield from (Row(f"{name}.{row.label}", row.sides) for row in fields)


def _raw(sight: Sight, vantage: Vantage, name: str) -> Shown:
    reading = sight.reading(vantage, name)
    if reading is None:
        return Shown(_NOTHING, "not read")
    digits = 18 if name.startswith("ID_") else 10
    return Shown(reading.problem if reading.value is None else f"{reading.value:#0{digits}x}")


def _other_vantages(name: str, sights: _Sights) -> Iterator[Row]:
    guest = tuple(_raw(sight, Vantage.GUEST, name) for sight in sights)
    for vantage in Vantage:
        sides = tuple(_raw(sight, vantage, name) for sight in sights)
        told = any(sight.reading(vantage, name) for sight in sights)
        if vantage is not Vantage.GUEST and told and sides != guest:
            yield Row(_spoken(vantage), sides, 1)


def _physical(name: str, sights: _Sights, every: bool) -> Iterator[Row]:
    """Yield what the CPUs themselves hold, CPUs that agree together, where it is not what the guest reads."""
    seen: list[dict[int, int]] = []
    for source in (Vantage.HARDWARE, DECLARED):
        held = [sight.physical(source, name) for sight in sights]
        if held == seen and not every:
            return  # the hardware is what was declared, which then says nothing new
        seen = held
        cpus = sorted({cpu for found in held for cpu in found})
        by_values: dict[tuple[int | None, ...], list[int]] = {}
        for cpu in cpus:
            by_values.setdefault(tuple(found.get(cpu) for found in held), []).append(cpu)
        for values, alike in by_values.items():
            guest = tuple(sight.value(Vantage.GUEST, name) for sight in sights)
            if every or (_tells(source, values, guest) and base_name(name) in _CACHE_REGISTERS):
                label = source if alike == cpus else f"{source}, {cpu_list(alike)}"
                layouts = [sight.layout_of(source, alike[0]) for sight in sights]
                sides = (_held(name, *pair) for pair in zip(values, layouts, strict=True))
                nothing = Shown(_NOTHING, "not declared" if source == DECLARED else "not asked")
                yield Row(label, tuple(side or nothing for side in sides), 1)


def _tells(source: str, held: tuple[int | None, ...], guest: tuple[int | None, ...]) -> bool:
    """Tell whether what CPUs hold is news: not what the guest reads; what is declared, on no side at all."""
    differs = [value not in (None, seen) for value, seen in zip(held, guest, strict=True)]
    return all(differs) if source == DECLARED else any(differs)


def _held(name: str, value: int | None, layout: Layout) -> Shown | None:
    if value is None:
        return None
    if base_name(name) == "CCSIDR_EL1":
        return Shown(f"{value:#x}", str(geometry(value, layout)))
    return Shown(f"{value:#0{18 if name.startswith('ID_') else 10}x}")


def _spoken(vantage: Vantage) -> str:
    return {Vantage.GUEST_EL0: "guest's EL0", Vantage.GUEST_AARCH32: "guest's AArch32"}.get(vantage, vantage)


def _fields(name: str, sights: _Sights, every: bool) -> Iterator[Row]:
    register = REGISTERS.get(name)
    for field in register.fields if register else ():
        values = [sight.value(Vantage.GUEST, name) for sight in sights]
        sides = tuple(
            Shown(_NOTHING if value is None or not register else brief(register, field, value))
            for value in values
        )
        row = Row(field.name, sides, 1)
        if every or row.changed or f"{name}.{field.name}" == _ALWAYS_FIELD:
            yield row


def _ccsidr(name: str, sights: _Sights, every: bool) -> Iterator[Row]:
    """Yield the rows of one cache's size; caches that no side lists only with ``every``."""
    if not every and not any(sight.lists(name) for sight in sights):
        return
    yield Row(_cache_label(name, sights), tuple(_size(sight, name, every) for sight in sights))
    told = tuple(_told_size(sight, name) for sight in sights)
    if any((every or sight.lists(name)) and _told_otherwise(sight, name) for sight in sights):
        yield Row("userspace", told, 1)
    yield from _physical(name, sights, every)


def _told_otherwise(sight: Sight, name: str) -> bool:
    return sight.value(Vantage.USERSPACE, name) != sight.value(Vantage.GUEST, name)


def _cache_label(name: str, sights: _Sights) -> str:
    for sight in sights:
        for cache in listed(sight.value(Vantage.GUEST, "CLIDR_EL1") or 0):
            if ccsidr(cache.selector) == name:
                return f"{name} {cache.name}"
    return name


def _size(sight: Sight, name: str, every: bool) -> Shown:
    reading = sight.reading(Vantage.GUEST, name)
    if not sight.lists(name) and not (every and reading):
        return Shown(_NOTHING, "not listed by CLIDR")
    if reading is None or reading.value is None:
        return Shown(reading.problem if reading else _NOTHING, "" if reading else "not read")
    note = str(geometry(reading.value, sight.layout)) if sight.lists(name) else "not listed by CLIDR"
    return Shown(f"{reading.value:#x}", note)


def _told_size(sight: Sight, name: str) -> Shown:
    """Return what KVM_GET_ONE_REG says of a cache's size: 32 bits, whatever the layout."""
    told = sight.reading(Vantage.USERSPACE, name)
    seen = sight.value(Vantage.GUEST, name)
    if told is None:
        return Shown(_NOTHING, "not read")
    if told.value is None:
        return Shown(told.problem)
    cut = seen is not None and seen >> 32 and seen & 0xFFFF_FFFF == told.value
    if cut:
        return Shown(f"{told.value:#x}", "NumSets cut off", caution=True)
    return Shown(f"{told.value:#x}", str(geometry(told.value, sight.layout)) if seen != told.value else "")
