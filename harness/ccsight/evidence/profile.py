"""A profile: the cache registers that a kernel showed, for each type of CPU. What a VMM sets before launch.

Only what was read. What may be written where, and what a profile proves, is judged elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ccsight.arm64.caches import Layout
from ccsight.arm64.registers import ccsidr
from ccsight.evidence.record import Hex

#: Raised with every change of the form that an older ccsight would stumble over.
PROFILE_SCHEMA = 1


@dataclass(frozen=True)
class Shown:
    """What one vantage read of the cache registers; ``ccsidr`` by CSSELR_EL1, for each cache that there is.

    ``ccidx`` is ID_AA64MMFR2_EL1.CCIDX. KVM_GET_ONE_REG gives 32 bits of a CCSIDR_EL1, a guest reads 64.
    """

    ctr: Hex
    clidr: Hex
    ccidx: int
    ccsidr: Mapping[int, Hex]

    @property
    def layout(self) -> Layout:
        """The layout that the values have.

        A kernel may hide CCIDX and show the 64-bit layout all the same (bf48040cd9b0 without 7af0c2534f4c, as
        vendors' 6.1 has it), so the values count, too.
        """
        wide = self.ccidx or any(value >> 32 for value in self.ccsidr.values())
        return Layout.CCIDX if wide else Layout.NARROW

    def readings(self) -> dict[str, Hex]:
        """Return the values by reading: ``CTR_EL0``, ``CLIDR_EL1``, ``CCSIDR_EL1[2]``."""
        sizes = {ccsidr(selector): value for selector, value in sorted(self.ccsidr.items())}
        return {"CTR_EL0": self.ctr, "CLIDR_EL1": self.clidr} | sizes


@dataclass(frozen=True)
class CoreProfile:
    """One type of CPU: what userspace was told, and what a guest read on it.

    ``values`` is the silicon table's word for where an emulated core's values are from, "" where nobody
    declared them.
    """

    name: str
    midr: Hex
    revidr: Hex
    cpus: tuple[int, ...]
    userspace: Shown
    guest: Shown
    values: str = ""


@dataclass(frozen=True)
class Profile:
    """What one kernel showed on one machine, and of which capture that is.

    ``emulator`` is QEMU's name and version, "" on real machines; ``capture`` the SHA-256 of the capture.
    """

    kernel: str
    release: str
    build_id: str
    machine: str
    substrate: str
    emulator: str
    capture: str
    cores: tuple[CoreProfile, ...] = field(default=())
