"""The cache registers and their bit-fields, as rows; values in, named fields out.

Names and positions are the Arm ARM's (DDI 0487, section D24.2 "General system control registers").
A new register is a new row; a new field is a new entry in its row.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

from ccsight.arm64.suggest import nearest


@dataclass(frozen=True)
class Field:
    """Bits ``hi:lo`` of a register, what they say, and the words for their values, if any."""

    name: str
    hi: int
    lo: int
    meaning: str
    words: tuple[str, ...] = ()

    @cached_property
    def mask(self) -> int:
        """The field's bits, in place."""
        return (2 << self.hi) - (1 << self.lo)

    def extract(self, value: int) -> int:
        """Return the field's number in a register value."""
        return (value & self.mask) >> self.lo

    def say(self, value: int) -> str:
        """Return the field of a register value in words: a number, or the number's name."""
        number = self.extract(value)
        return self.words[number] if number < len(self.words) else str(number)


@dataclass(frozen=True)
class Register:
    """A system register: its encoding (op0, op1, CRn, CRm, op2) and its fields."""

    name: str
    encoding: tuple[int, int, int, int, int]
    meaning: str
    fields: tuple[Field, ...]
    res1: int = 0  #: bits outside every field that read as 1

    @cached_property
    def mask(self) -> int:
        """All bits that belong to a field."""
        return sum(field.mask for field in self.fields)

    def field(self, name: str) -> Field:
        """Return a field by name. Raises KeyError with the nearest name."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(nearest(name, [field.name for field in self.fields]))


_CTYPE = ("none", "instruction", "data", "separate I and D", "unified")
_TTYPE = ("none", "separate", "unified, tags with data", "unified, tags apart")

CTR_EL0 = Register(
    "CTR_EL0",
    (3, 3, 0, 0, 1),
    "cache type: line sizes, and what coherency needs",
    (
        Field("IminLine", 3, 0, "log2 of the words in the smallest instruction cache line"),
        Field("L1Ip", 15, 14, "level 1 instruction cache policy", ("VPIPT", "AIVIVT", "VIPT", "PIPT")),
        Field("DminLine", 19, 16, "log2 of the words in the smallest data cache line"),
        Field("ERG", 23, 20, "log2 of the words in an exclusives reservation granule"),
        Field("CWG", 27, 24, "log2 of the words in a cache write-back granule"),
        Field("IDC", 28, 28, "1: no data cache clean is needed to run new code"),
        Field("DIC", 29, 29, "1: no instruction cache invalidation is needed to run new code"),
        Field("TminLine", 37, 32, "log2 of the words in the smallest tag cache line"),
    ),
    res1=1 << 31,
)

CLIDR_EL1 = Register(
    "CLIDR_EL1",
    (3, 1, 0, 0, 1),
    "cache levels: which caches there are, and how far maintenance has to go",
    (
        *(Field(f"Ctype{n}", 3 * n - 1, 3 * n - 3, f"cache at level {n}", _CTYPE) for n in range(1, 8)),
        Field("LoUIS", 23, 21, "level of unification, inner shareable"),
        Field("LoC", 26, 24, "level of coherence"),
        Field("LoUU", 29, 27, "level of unification, uniprocessor"),
        Field("ICB", 32, 30, "inner cache boundary: 0 is undisclosed"),
        *(Field(f"Ttype{n}", 32 + 2 * n, 31 + 2 * n, f"tag cache at level {n}", _TTYPE) for n in range(1, 8)),
    ),
)

#: The layout without FEAT_CCIDX. Bits 31:28 were write policy hints once and are UNKNOWN now.
CCSIDR_EL1 = Register(
    "CCSIDR_EL1",
    (3, 1, 0, 0, 0),
    "one cache's size, 32-bit layout",
    (
        Field("LineSize", 2, 0, "log2 of the bytes in a line, minus 4"),
        Field("Associativity", 12, 3, "ways, minus 1"),
        Field("NumSets", 27, 13, "sets, minus 1"),
        Field("UNKNOWN", 31, 28, "once write-back and allocation hints; no meaning now"),
    ),
)

#: The layout with FEAT_CCIDX; KVM's ioctl carries only bits 31:0 of it.
CCSIDR_EL1_CCIDX = Register(
    "CCSIDR_EL1",
    (3, 1, 0, 0, 0),
    "one cache's size, 64-bit layout of FEAT_CCIDX",
    (
        Field("LineSize", 2, 0, "log2 of the bytes in a line, minus 4"),
        Field("Associativity", 23, 3, "ways, minus 1"),
        Field("NumSets", 55, 32, "sets, minus 1"),
    ),
)

CSSELR_EL1 = Register(
    "CSSELR_EL1",
    (3, 2, 0, 0, 0),
    "selects the cache that CCSIDR_EL1 describes",
    (
        Field("InD", 0, 0, "1: the instruction cache of that level"),
        Field("Level", 3, 1, "cache level, minus 1"),
        Field("TnD", 4, 4, "1: the tag cache of that level"),
    ),
)

ID_AA64MMFR2_EL1 = Register(
    "ID_AA64MMFR2_EL1",
    (3, 0, 0, 7, 2),
    "memory model features; CCIDX selects the layout of CCSIDR_EL1",
    (
        Field("CnP", 3, 0, "common translations are supported"),
        Field("UAO", 7, 4, "user access override is supported"),
        Field("LSM", 11, 8, "LSMAOE and nTLSMD are supported"),
        Field("IESB", 15, 12, "implicit error synchronisation is supported"),
        Field("VARange", 19, 16, "1: 52-bit virtual addresses"),
        Field("CCIDX", 23, 20, "1: CCSIDR_EL1 has the 64-bit layout"),
        Field("NV", 27, 24, "nested virtualisation"),
        Field("ST", 31, 28, "small translation tables are supported"),
        Field("AT", 35, 32, "unaligned atomics within 16 bytes"),
        Field("IDS", 39, 36, "ESR_EL1 code of trapped ID register reads"),
        Field("FWB", 43, 40, "forced write-back at stage 2"),
        Field("TTL", 51, 48, "TLB maintenance hints"),
        Field("BBM", 55, 52, "level of block size changes without break-before-make"),
        Field("EVT", 59, 56, "enhanced virtualisation traps (TID4 and others)"),
        Field("E0PD", 63, 60, "unprivileged access prevention by half of the address space"),
    ),
)

REGISTERS = {
    register.name: register for register in (CTR_EL0, CLIDR_EL1, CCSIDR_EL1, CSSELR_EL1, ID_AA64MMFR2_EL1)
}

#: CSSELR_EL1 values that name a cache: seven levels, each with a data or unified and an instruction side.
SELECTORS = range(14)


def ccsidr(selector: int) -> str:
    """Return the name that a reading of CCSIDR_EL1 with this CSSELR_EL1 goes by."""
    return f"CCSIDR_EL1[{selector}]"


def base_name(reading: str) -> str:
    """Return the register of a reading, such as of ``CCSIDR_EL1[2]`` or ``CSSELR_EL1<=2``."""
    return reading.partition("[")[0].partition("<=")[0]


def in_short(names: Iterable[str]) -> str:
    """Return readings in short: those of one register that follow each other become ``CCSIDR_EL1[3,5-13]``.

    So do their fields: ``CCSIDR_EL1[3-4].LineSize``.
    """
    return _in_short(tuple(names))


@lru_cache(maxsize=1 << 10)
def _in_short(names: tuple[str, ...]) -> str:
    alike: list[tuple[str, str, list[int]]] = []
    for name in names:
        found = _INDEXED.fullmatch(name)
        base, index, field = (found[1], [int(found[2])], found[3]) if found else (name, [], "")
        if found and alike and alike[-1][:2] == (base, field):
            alike[-1][2].extend(index)
        else:
            alike.append((base, field, index))
    return ", ".join(
        f"{base}[{','.join(ranges(indexes))}]{field}" if indexes else base for base, field, indexes in alike
    )


_INDEXED = re.compile(r"([^\[]*)\[([0-9]+)\](.*)")


def ranges(numbers: Iterable[int]) -> list[str]:
    """Return numbers in short, in the order in which they come: ``3``, ``5-13``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs]
