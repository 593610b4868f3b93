"""What the readings of the guests ``selectors``, ``setway`` and ``aarch32`` are called.

Each runs in a VM of its own, on vCPU 0; its program and its phase have the guest's name. Besides registers
by their own names there are

- ``CSSELR_EL1<=3``: what CSSELR_EL1 reads after 3 was written to it; what CCSIDR_EL1 then says is
  ``CCSIDR_EL1[3]``. From 16 on, CSSELR_EL1.TnD is set;
- ``MSR CLIDR_EL1``: a write to a register that is read-only; a value, 0, says that it was taken;
- ``CTR_EL0 UCT=0``: CTR_EL0 as EL0 reads it without EL1's leave. All else at EL0 is read with it;
- ``DC CISW L1D``: how many operations it takes to clean that cache by set and way, as its CCSIDR_EL1 has it;
- ``KVM_ARM_VCPU_INIT``: why there is no vCPU in AArch32. In its place, where there is one, are the registers
  of its CP15 under the names that they have in AArch64.
"""

from ccsight.arm64.caches import Cache, Side
from ccsight.arm64.registers import CLIDR_EL1, SELECTORS, ccsidr

#: The guests, their programs and their phases.
SELECTORS_GUEST, SETWAY_GUEST, AARCH32_GUEST = "selectors", "setway", "aarch32"

#: What is written to CSSELR_EL1 in AArch64: the selectors of seven levels, two of an eighth, three of tags.
WRITTEN = tuple(range(19))
#: CSSELR_EL1.TnD: set in a selector of allocation tags, which only a CPU with FEAT_MTE2 can keep apart.
TND = 16

#: CLIDR_EL1.Ctype: from which value on there is a data side, from which a unified cache.
_DATA, _UNIFIED = 2, 4

UCT_0 = "CTR_EL0 UCT=0"
#: The problem of a loop over more operations than the guest counts.
TOO_LONG = "TOO-LONG"
INIT = "KVM_ARM_VCPU_INIT"
CCSIDR2 = "CCSIDR2_EL1"


def selected(selector: int) -> str:
    """Return the name of what CSSELR_EL1 reads after this was written to it."""
    return f"CSSELR_EL1<={selector}"


def write_of(register: str) -> str:
    """Return the name of a write to a register that is read-only."""
    return f"MSR {register}"


def set_way(cache: str) -> str:
    """Return the name of the loop that cleans a cache, such as ``L1D``, by set and way."""
    return f"DC CISW {cache}"


def cleaned(clidr: int) -> tuple[Cache, ...]:
    """Return the caches that ``setway`` cleans: of each level below LoC the data or the unified one."""
    found: list[Cache] = []
    for level in range(1, min(CLIDR_EL1.field("LoC").extract(clidr), 7) + 1):
        ctype = CLIDR_EL1.field(f"Ctype{level}").extract(clidr)
        if ctype >= _DATA:
            found.append(Cache(level, Side.DATA if ctype < _UNIFIED else Side.UNIFIED))
    return tuple(found)


def _each(selectors: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(name for selector in selectors for name in (selected(selector), ccsidr(selector)))


#: Registers that are read-only, and a write to which is UNDEFINED.
READ_ONLY = ("CTR_EL0", "CLIDR_EL1", "CCSIDR_EL1", "CCSIDR2_EL1", "DCZID_EL0")

#: All that ``selectors`` reads at EL1 and at EL0, and ``aarch32`` at its EL1, in the order of sending.
SELECTED = _each(WRITTEN)
SELECTORS_EL1 = ("CLIDR_EL1", *SELECTED, CCSIDR2, "DCZID_EL0", *map(write_of, READ_ONLY))
SELECTORS_EL0 = ("CTR_EL0", UCT_0, "DCZID_EL0", "CLIDR_EL1", "CCSIDR_EL1")
AARCH32 = ("CTR_EL0", "CLIDR_EL1", CCSIDR2, *_each(tuple(SELECTORS)))
