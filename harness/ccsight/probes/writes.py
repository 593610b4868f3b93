"""What is written to KVM's cache registers, as data: every experiment is a value, a register and a moment.

What is worth writing depends on what a register holds, so the table is made of what was read before. Each
experiment begins with what a VM has when it is made, so that none depends on another one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby, islice

from ccsight.arm64.caches import Side, minimum_line
from ccsight.arm64.kvm_ids import of_reading, resized
from ccsight.arm64.registers import (
    CCSIDR_EL1,
    CLIDR_EL1,
    REGISTERS,
    Register,
    base_name,
    ccsidr,
)
from ccsight.evidence.views import FRESH, RAN, UNINITIALISED, UNREADABLE, View

#: What some kernels let a VM have less of until it has run (Linux 2843cae26644, v6.11; 6.12: ID_WRITABLE()).
_LOWERABLE = {
    "CTR_EL0": ("IDC", "DIC", "IminLine", "DminLine"),
    "ID_AA64MMFR2_EL1": ("E0PD", "BBM", "TTL", "AT", "ST", "VARange", "IESB", "LSM", "UAO", "CnP"),
}
#: Sizes that get every value of the table, the other ones a few: data, instruction, level 2, the last one.
_THOROUGH = (0, 1, 2, 13)
#: Selectors that no cache has: 14 and 15 fit into CSSELR_EL1, 255 is the largest that an id can say.
_BEYOND = (14, 15, 255)
#: A size without its line: 4 ways of 256 sets, as Cortex-A76 has.
_OTHER_SIZE = 0x701FE018
_ALL = (1 << 64) - 1
#: Bits of an id that mean nothing, and one that makes it another architecture's.
_STRAY_ID_BITS = (28, 32, 48, 56)


@dataclass(frozen=True)
class Attempt:
    """A value for a register, by its id or by ``kvm_id``; ``watched``: the guest looks afterwards.

    ``back`` is what is written afterwards, so that all is as it was; None where that is not known.
    """

    name: str
    value: int
    vcpu: int = 0
    kvm_id: int | None = None
    watched: bool = False
    back: int | None = None


@dataclass(frozen=True)
class Trial:
    """A VM of its own, made on CPU ``made``, and what is written to it on CPU ``cpu`` in one phase."""

    phase: str
    cpu: int
    attempts: tuple[Attempt, ...]
    made: int


def trials(told: Mapping[int, View]) -> Iterator[Trial]:
    """Yield the whole table, given what userspace is told on each physical CPU, the first one first."""
    first, view = next(iter(told.items()))
    every = tuple(attempts(view))
    yield Trial(UNINITIALISED, first, _each_once(view), first)
    yield Trial(UNREADABLE, first, _each_once(view), first)
    second = [replace(each, vcpu=1) for each in _sample(every, 5)]
    yield Trial(FRESH, first, (*every, *_foreign_ids(view), *second), first)
    yield Trial(RAN, first, (*_watched(every), *_sample(every, 4)), first)
    for attempt in _lowered(view):
        yield Trial(FRESH, first, (attempt,), first)
    for cpu in _others(told):
        here = tuple(attempts(told[cpu]))
        yield Trial(FRESH, cpu, tuple(each for each in here if _is_sample(each, told[cpu])), first)


def attempts(told: View) -> Iterator[Attempt]:
    """Yield what is written to each register, its own value first, each to be written back."""
    for name in _names(told):
        before = told.value(name)
        found = dict.fromkeys(_values(name, before, told.value("CTR_EL0") or 0))
        yield from (Attempt(name, value, back=before) for value in found)


def _names(told: View) -> tuple[str, ...]:
    return (*told.readings, *map(ccsidr, _BEYOND), "CSSELR_EL1")


def _values(name: str, before: int | None, ctr: int) -> Iterator[int]:
    register = REGISTERS[base_name(name)]
    base = before or 0
    yield base
    if register is CCSIDR_EL1:
        yield from _sizes(int(name[len("CCSIDR_EL1[") : -1]), base, ctr)
        return
    yield from _each_field(register, base)
    if register is CLIDR_EL1:
        yield from _levels(base)
    unnamed = _ALL & ~register.mask
    yield from (base ^ unnamed & -unnamed, base ^ 1 << 63, base ^ register.res1, base ^ unnamed, 0, _ALL)
    yield from (base ^ bit for bit in (1 << 32, 1 << 46, 1 << 47) if bit & unnamed)


def _each_field(register: Register, base: int) -> Iterator[int]:
    """Yield values with one field changed: to the next lower number, and to the extreme that is above it."""
    for field in register.fields:
        number, most = field.extract(base), field.mask >> field.lo
        others = (number - 1 if number else 1, most if number < most else 0)
        # A kernel may know a number that it shows no more: of NV, which has two.
        for other in (*others, 2) if field.name == "NV" else others:
            yield base & ~field.mask | other << field.lo


def _levels(base: int) -> Iterator[int]:
    """Yield CLIDR_EL1 with its levels at 1 or 0: no LoC, or no LoUU and LoUIS, mean that IDC is in effect."""
    for loc, louu, louis in ((1, 1, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 0, 0), (0, 0, 0)):
        yield _with(CLIDR_EL1, base, LoC=loc, LoUU=louu, LoUIS=louis)
    yield _with(CLIDR_EL1, base, LoC=1, LoUU=1, LoUIS=1, Ttype1=2, Ttype7=1)


def _sizes(selector: int, base: int, ctr: int) -> Iterator[int]:
    """Yield CCSIDR_EL1 with lines around the host's shortest of that side, and other geometry."""
    line = minimum_line(ctr, Side.INSTRUCTION if selector & 1 else Side.DATA).bit_length() - 1 - 4
    for size in (line, line - 1, line + 1):
        if size >= 0:
            yield _with(CCSIDR_EL1, base, LineSize=min(size, 7))
    yield _OTHER_SIZE | line
    if selector in _THOROUGH:
        yield from _each_field(CCSIDR_EL1, base)
        yield from (base ^ 1 << 28, base ^ 1 << 31, base ^ 0xF << 28, 0, 0xFFFF_FFFF)


def _with(register: Register, base: int, **numbers: int) -> int:
    """Return a value with other numbers in some fields."""
    for name, number in numbers.items():
        field = register.field(name)
        base = base & ~field.mask | number << field.lo
    return base


def _each_once(told: View) -> tuple[Attempt, ...]:
    return tuple(Attempt(name, told.value(name) or 0) for name in _names(told))


def _foreign_ids(told: View) -> Iterator[Attempt]:
    """Yield each kind of register by ids that nobody has: of another size, or with bits that mean nothing."""
    for name in ("CTR_EL0", "CLIDR_EL1", "ID_AA64MMFR2_EL1", "CSSELR_EL1", ccsidr(0)):
        value, kvm_id = told.value(name) or 0, of_reading(name)
        for size in (1, 2, 4, 8, 16, 256):
            if resized(kvm_id, size) != kvm_id:
                yield Attempt(name, value, kvm_id=resized(kvm_id, size))
        yield from (Attempt(name, value, kvm_id=kvm_id ^ 1 << bit) for bit in _STRAY_ID_BITS)
    yield Attempt(ccsidr(0), told.value(ccsidr(0)) or 0, kvm_id=of_reading(ccsidr(0)) | 1 << 8)


def _sample(every: Iterable[Attempt], step: int) -> Iterator[Attempt]:
    """Yield one in so many attempts on each register, the first one always."""
    for _, own in groupby(every, lambda each: each.name):
        yield from islice(own, 0, None, step)


def _watched(every: Iterable[Attempt]) -> Iterator[Attempt]:
    """Yield a sample of what the guest shall look at: what may have an effect on it once it has run."""
    shown = ("CLIDR_EL1", ccsidr(0), ccsidr(1))
    yield from (replace(each, watched=True) for each in _sample(every, 3) if each.name in shown)


def _lowered(told: View) -> Iterator[Attempt]:
    """Yield CTR_EL0 and ID_AA64MMFR2_EL1 for a guest to look at: lowered as far as some kernels allow."""
    for name, fields in _LOWERABLE.items():
        before = told.value(name) or 0
        zeros = {field: _with(REGISTERS[name], before, **{field: 0}) for field in fields}
        lowest = _with(REGISTERS[name], before, **dict.fromkeys(fields, 0))
        for value in dict.fromkeys((zeros[fields[0]], zeros[fields[-1]], lowest)):
            if value != before:
                yield Attempt(name, value, watched=True)


def _is_sample(attempt: Attempt, told: View) -> bool:
    """Tell whether a value is written on another CPU, too: what is there, and what is not."""
    return attempt.value in (told.value(attempt.name), 0) or attempt.value & ~7 == _OTHER_SIZE


def _others(told: Mapping[int, View]) -> list[int]:
    """Return the CPU to which the thread goes: the first that shows something else, or the last."""
    first, *others = told
    unlike = [cpu for cpu in others if told[cpu].readings != told[first].readings]
    return (unlike or others[::-1])[:1]
