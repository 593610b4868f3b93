"""Caches as CLIDR_EL1 lists them and as CCSIDR_EL1 sizes them.

Arm ARM DDI 0487, D24.2.27 (CCSIDR_EL1) and D24.2.29 (CLIDR_EL1).
"""

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from ccsight.arm64.registers import (
    CCSIDR_EL1,
    CCSIDR_EL1_CCIDX,
    CLIDR_EL1,
    CTR_EL0,
    ID_AA64MMFR2_EL1,
    Register,
)


class Layout(Enum):
    """The two layouts of CCSIDR_EL1; ID_AA64MMFR2_EL1.CCIDX tells which one a CPU uses."""

    NARROW = "32-bit"
    CCIDX = "64-bit"

    @property
    def register(self) -> Register:
        """The fields of this layout."""
        return CCSIDR_EL1_CCIDX if self is Layout.CCIDX else CCSIDR_EL1

    @classmethod
    def of(cls, mmfr2: int) -> "Layout":
        """Return the layout that a value of ID_AA64MMFR2_EL1 announces."""
        return cls.CCIDX if ID_AA64MMFR2_EL1.field("CCIDX").extract(mmfr2) else cls.NARROW


class Side(Enum):
    """What a cache holds."""

    INSTRUCTION = "I"
    DATA = "D"
    UNIFIED = ""


@dataclass(frozen=True)
class Cache:
    """One cache that CLIDR_EL1 lists: level 1 to 7, and what it holds."""

    level: int
    side: Side

    @property
    def name(self) -> str:
        """``L1I``, ``L1D``, ``L2``."""
        return f"L{self.level}{self.side.value}"

    @property
    def selector(self) -> int:
        """The CSSELR_EL1 value that selects it."""
        return (self.level - 1) << 1 | (self.side is Side.INSTRUCTION)


@dataclass(frozen=True)
class Geometry:
    """A cache's shape: bytes a line, ways, sets."""

    line: int
    ways: int
    sets: int

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self.line * self.ways * self.sets

    @property
    def fits_set_way(self) -> bool:
        """True when set, way and line can be named in the 32 bits of a set/way operation.

        Arm ARM C5.3, DC CISW: the way in the top ceil(log2(ways)) bits, the set above the line's offset.
        """
        set_bits, way_bits = ((count - 1).bit_length() for count in (self.sets, self.ways))
        return self.line.bit_length() - 1 + set_bits + way_bits <= 32

    @property
    def is_fabricated(self) -> bool:
        """True for one set of one way: no real cache, but what KVM shows when it makes one up."""
        return self.ways == 1 and self.sets == 1

    def __str__(self) -> str:
        return f"{self.ways}×{self.sets}×{self.line} B"


_SIDES = {1: (Side.INSTRUCTION,), 2: (Side.DATA,), 3: (Side.INSTRUCTION, Side.DATA), 4: (Side.UNIFIED,)}


@lru_cache(maxsize=1 << 10)
def listed(clidr: int) -> tuple[Cache, ...]:
    """Return the caches that a value of CLIDR_EL1 lists, nearest level first.

    The list ends at the first level without a cache: the Arm ARM makes Ctype fields above it
    meaningless ("if software reads the Cache Type fields from Ctype1 upwards, once it has seen a
    value of 0b000, no caches exist at further-out levels").
    """
    caches: list[Cache] = []
    for level in range(1, 8):
        sides = _SIDES.get(CLIDR_EL1.field(f"Ctype{level}").extract(clidr), ())
        if not sides:
            break
        caches += [Cache(level, side) for side in sides]
    return tuple(caches)


@lru_cache(maxsize=1 << 10)
def geometry(ccsidr: int, layout: Layout) -> Geometry:
    """Return the shape that a value of CCSIDR_EL1 describes in the given layout."""
    fields = layout.register
    return Geometry(
        line=1 << fields.field("LineSize").extract(ccsidr) + 4,
        ways=fields.field("Associativity").extract(ccsidr) + 1,
        sets=fields.field("NumSets").extract(ccsidr) + 1,
    )


def minimum_line(ctr: int, side: Side) -> int:
    """Return the smallest line in bytes that CTR_EL0 promises for caches of this side."""
    field = "IminLine" if side is Side.INSTRUCTION else "DminLine"
    return 4 << CTR_EL0.field(field).extract(ctr)


def effective_idc(ctr: int, clidr: int) -> int:
    """Return IDC as a Linux guest computes it from CTR_EL0 and CLIDR_EL1.

    Linux arch/arm64/kernel/cpufeature.c, read_cpuid_effective_cachetype(): with no level of
    coherence, or no level of unification at all, nothing ever needs cleaning, whatever CTR says.
    """
    loc, louu, louis = (CLIDR_EL1.field(name).extract(clidr) for name in ("LoC", "LoUU", "LoUIS"))
    return int(bool(CTR_EL0.field("IDC").extract(ctr)) or loc == 0 or (louu == 0 and louis == 0))


def human_size(size: int) -> str:
    """Return a size in the largest unit that divides it: ``64K``, ``1M``, ``64 B``."""
    for unit, scale in (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if size >= scale and size % scale == 0:
            return f"{size // scale}{unit}"
    return f"{size} B"
