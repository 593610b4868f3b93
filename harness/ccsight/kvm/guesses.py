"""The words of a guess: what was seen of a CPU, and how surely a field of the old kernel's values follows."""

from dataclasses import dataclass
from enum import StrEnum

from ccsight.arm64.caches import Side


class Sure(StrEnum):
    """How sure a guess is, surest first."""

    KNOWN = "known"
    TABLE = "table"
    INFERRED = "inferred"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Leaf:
    """One cache of a CPU as sysfs shows it, sizes in bytes; None is what is not told there."""

    level: int
    side: Side
    line: int | None = None
    ways: int | None = None
    sets: int | None = None
    shared: str = ""

    @property
    def number(self) -> int:
        """The CSSELR_EL1 value that would select it."""
        return (self.level - 1) << 1 | (self.side is Side.INSTRUCTION)


@dataclass(frozen=True)
class Seen:
    """What userspace sees of one CPU under a new kernel; None is what nobody could read.

    ``leaves`` is None where the CPU has no cache folder in sysfs. ``kept_ctr`` is CTR_EL0 by
    KVM_GET_ONE_REG, ``raw_ctr`` by an untrapped guest or MRS at EL0. ``features`` is ID_AA64MMFR2_EL1 by
    KVM_GET_ONE_REG. ``mismatched`` and ``mte`` are what the kernel's log says. ``alike`` tells whether all
    CPUs have the same MIDR_EL1 and REVIDR_EL1.
    """

    midr: int
    leaves: tuple[Leaf, ...] | None = None
    kept_ctr: int | None = None
    raw_ctr: int | None = None
    features: int | None = None
    mismatched: bool | None = None
    mte: bool | None = None
    alike: bool = False


@dataclass(frozen=True)
class Guess:
    """One field of a register as the old kernel's guest read it; ``value`` is None where it is UNKNOWN."""

    register: str
    field: str
    value: int | None
    sure: Sure
    why: str

    @property
    def place(self) -> str:
        """``CLIDR_EL1.LoC``."""
        return f"{self.register}.{self.field}"
