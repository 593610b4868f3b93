"""KVM's 64-bit register ids (Linux include/uapi/linux/kvm.h, arch/arm64/include/uapi/asm/kvm.h).

An id says architecture, width and kind. Cache sizes are "demux" registers: one id a CSSELR value.
"""

from ccsight.arm64.encodings import ENCODINGS
from ccsight.arm64.registers import REGISTERS, SELECTORS, Register, ccsidr

#: KVM_REG_ARM64, and the bits of an id that say how many bytes the register has, as a power of two.
ARM64 = 0x6000_0000_0000_0000
SIZE_MASK = 0x00F0_0000_0000_0000
_ARM64_U64 = ARM64 | 3 << 52
_ARM64_U32 = ARM64 | 2 << 52
_SYSREG = 0x0013 << 16
_DEMUX_CCSIDR = 0x0011 << 16
_KIND_MASK = 0xFFFF_FFFF_FFFF_0000


def of_register(register: Register) -> int:
    """Return the id of a system register that is not banked by a selector."""
    return of_encoding(register.encoding)


def of_encoding(encoding: tuple[int, int, int, int, int]) -> int:
    """Return the id of a system register by its op0, op1, CRn, CRm and op2."""
    op0, op1, crn, crm, op2 = encoding
    return _ARM64_U64 | _SYSREG | op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2


def of_ccsidr(selector: int) -> int:
    """Return the id of CCSIDR_EL1 for one CSSELR_EL1 value."""
    return _ARM64_U32 | _DEMUX_CCSIDR | selector


def of_reading(reading: str) -> int:
    """Return the id of a register by the name of its reading: ``CLIDR_EL1``, ``CCSIDR_EL1[2]``."""
    register, _, selector = reading.partition("[")
    return of_ccsidr(int(selector[:-1])) if selector else of_register(REGISTERS[register])


def resized(kvm_id: int, size: int) -> int:
    """Return an id that says another number of bytes, a power of two."""
    return kvm_id & ~SIZE_MASK | (size.bit_length() - 1) << 52


def ccsidr_selector(kvm_id: int) -> int | None:
    """Return the CSSELR_EL1 value of a CCSIDR_EL1 id, or None for any other id."""
    is_ccsidr = kvm_id & _KIND_MASK == _ARM64_U32 | _DEMUX_CCSIDR and kvm_id & 0xFF00 == 0
    return kvm_id & 0xFF if is_ccsidr else None


_NAMES = {
    of_register(register): register.name for register in REGISTERS.values() if register.name != "CCSIDR_EL1"
}
#: KVM's own registers (Linux Documentation/virt/kvm/arm/fw-pseudo-registers.rst), and those of which the uapi
#: header has another encoding than the Arm ARM: KVM_REG_ARM_TIMER_CNT and _CVAL were swapped, and stay so.
_NAMES |= {
    0x6030_0000_0014_0000: "KVM_REG_ARM_PSCI_VERSION",
    0x6030_0000_0014_0001: "KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1",
    0x6030_0000_0014_0002: "KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2",
    0x6030_0000_0014_0003: "KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_3",
    0x6030_0000_0016_0000: "KVM_REG_ARM_STD_BMAP",
    0x6030_0000_0016_0001: "KVM_REG_ARM_STD_HYP_BMAP",
    0x6030_0000_0016_0002: "KVM_REG_ARM_VENDOR_HYP_BMAP",
    0x6030_0000_0016_0003: "KVM_REG_ARM_VENDOR_HYP_BMAP_2",
    0x6030_0000_0013_DF19: "KVM_REG_ARM_TIMER_CTL",
    0x6030_0000_0013_DF1A: "KVM_REG_ARM_TIMER_CNT",
    0x6030_0000_0013_DF02: "KVM_REG_ARM_TIMER_CVAL",
}
#: What counts on by itself, and so never reads as it was saved.
COUNTERS = frozenset({0x6030_0000_0013_DF1A, 0x6030_0000_0013_DF01})


def known() -> dict[str, int]:
    """Return the ids of all registers that have a name here."""
    others = {name: of_encoding(encoding) for encoding, name in ENCODINGS.items()}
    sizes = {ccsidr(selector): of_ccsidr(selector) for selector in SELECTORS}
    return {name: kvm_id for kvm_id, name in _NAMES.items()} | sizes | others


def name(kvm_id: int) -> str:
    """Return the best name for an id: ours, else its encoding, else the number."""
    selector = ccsidr_selector(kvm_id)
    if selector is not None:
        return ccsidr(selector)
    if kvm_id in _NAMES:
        return _NAMES[kvm_id]
    if kvm_id & _KIND_MASK == _ARM64_U64 | _SYSREG:
        op0, op1 = kvm_id >> 14 & 3, kvm_id >> 11 & 7
        crn, crm, op2 = kvm_id >> 7 & 15, kvm_id >> 3 & 15, kvm_id & 7
        return ENCODINGS.get((op0, op1, crn, crm, op2), f"S{op0}_{op1}_C{crn}_C{crm}_{op2}")
    return f"{kvm_id:#x}"
