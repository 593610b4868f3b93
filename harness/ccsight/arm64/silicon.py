"""What a real core's cache registers read, and machines made of such cores. Pure: rows in, rules out.

The rows stand in a table elsewhere; this module knows what a row means and which rows cannot be.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ccsight.arm64.caches import Layout
from ccsight.arm64.registers import CCSIDR_EL1_CCIDX, ID_AA64MMFR2_EL1, ccsidr

_ALL = (1 << 64) - 1


@dataclass(frozen=True)
class Override:
    """The bits of a register that a core gives: ``value`` holds nothing outside ``mask``.

    ``at_el2_only`` is set for registers that read something else elsewhere: below EL2, MIDR_EL1 reads
    VPIDR_EL2 (Arm ARM DDI 0487, MIDR_EL1), which KVM may set for each VM.
    """

    value: int
    mask: int = _ALL
    at_el2_only: bool = False


@dataclass(frozen=True)
class Base:
    """A QEMU model that cores are put on, as far as it decides what they may say.

    ``aarch32``: at EL1 (and so in guests). ``mte``: with the option ``mte=on``. ``evt`` is the field of
    ID_AA64MMFR2_EL1, ``dczid`` the block size that DC ZVA zeroes, as DCZID_EL0.BS has it.
    """

    name: str
    aarch32: bool = False
    vhe: bool = False
    ccidx: bool = False
    mte: bool = False
    fwb: bool = False
    evt: int = 0
    dczid: int = 4


@dataclass(frozen=True)
class Core:
    """One kind of core: what its registers read, on which QEMU model it is put, where the values are from.

    ``ccsidr`` goes by CSSELR_EL1 value. ``base`` is the QEMU model whose features it borrows. ``values`` is
    ``published``, ``computed`` or ``partial``. ``midr`` is shown to the host only with ``shows_midr``: the
    kernel's errata code for some cores touches registers that QEMU does not have.
    """

    name: str
    title: str
    base: str
    midr: int
    ctr: int
    clidr: int
    ccsidr: Mapping[int, int]
    values: str
    source: str
    ccidx: bool = False
    evt: int = 0
    revidr: int | None = None
    dczid: int | None = None
    shows_midr: bool = True

    @property
    def layout(self) -> Layout:
        """The layout of its CCSIDR_EL1."""
        return Layout.CCIDX if self.ccidx else Layout.NARROW

    def overrides(self) -> dict[str, Override]:
        """Return what is overridden, by reading: ``CTR_EL0``, ``CCSIDR_EL1[2]`` …"""
        mmfr2 = {"CCIDX": int(self.ccidx), "EVT": self.evt}
        fields = [ID_AA64MMFR2_EL1.field(name) for name in mmfr2]
        found = {
            "CTR_EL0": Override(self.ctr),
            "CLIDR_EL1": Override(self.clidr),
            **{ccsidr(selector): Override(value) for selector, value in sorted(self.ccsidr.items())},
            **self._ccsidr2(),
            "ID_AA64MMFR2_EL1": Override(
                sum(number << each.lo for each, number in zip(fields, mmfr2.values(), strict=True)),
                sum(each.mask for each in fields),
            ),
        }
        if self.dczid is not None:
            found["DCZID_EL0"] = Override(self.dczid, mask=0xF)  # DZP depends on who asks
        if self.shows_midr:
            found["MIDR_EL1"] = Override(self.midr, at_el2_only=True)
            if self.revidr is not None:
                found["REVIDR_EL1"] = Override(self.revidr, at_el2_only=True)
        return found

    def declared(self) -> dict[str, int]:
        """Return what the row says by reading, or by ``REGISTER.FIELD`` where it gives but a part."""
        found = {name: each.value for name, each in self.overrides().items() if each.mask == _ALL}
        found |= {"ID_AA64MMFR2_EL1.CCIDX": int(self.ccidx), "ID_AA64MMFR2_EL1.EVT": self.evt}
        return found | ({} if self.dczid is None else {"DCZID_EL0.BS": self.dczid})

    def _ccsidr2(self) -> dict[str, Override]:
        """Return what an AArch32 guest needs beside CCSIDR_EL1: with FEAT_CCIDX, NumSets has a register."""
        if not self.ccidx:
            return {}
        return {
            f"CCSIDR2_EL1[{selector}]": Override(CCSIDR_EL1_CCIDX.field("NumSets").extract(value))
            for selector, value in sorted(self.ccsidr.items())
        }


@dataclass(frozen=True)
class SiliconMachine:
    """A machine of the table: one core a CPU, in the order of the CPUs' numbers."""

    name: str
    title: str
    cores: tuple[Core, ...]
    note: str = ""

    @property
    def base(self) -> str:
        """The QEMU model that all its CPUs are."""
        return self.cores[0].base
