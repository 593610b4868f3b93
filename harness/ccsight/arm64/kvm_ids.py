"""KVM's 64-bit register ids (Linux include/uapi/linux/kvm.h, arch/arm64/include/uapi/asm/kvm.h).

An id says architecture, width and kind. Cache sizes are "demux" registers: one id a CSSELR value.
"""

from ccsight.arm64.registers import REGISTERS, Register, ccsidr

_ARM64_U64 = 0x6030_0000_0000_0000
_ARM64_U32 = 0x6020_0000_0000_0000
_SYSREG = 0x0013 << 16
_DEMUX_CCSIDR = 0x0011 << 16
_KIND_MASK = 0xFFFF_FFFF_FFFF_0000


def of_register(register: Register) -> int:
    """Return the id of a system register that is not banked by a selector."""
    op0, op1, crn, crm, op2 = register.encoding
    return _ARM64_U64 | _SYSREG | op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2


def of_ccsidr(selector: int) -> int:
    """Return the id of CCSIDR_EL1 for one CSSELR_EL1 value."""
    return _ARM64_U32 | _DEMUX_CCSIDR | selector


def ccsidr_selector(kvm_id: int) -> int | None:
    """Return the CSSELR_EL1 value of a CCSIDR_EL1 id, or None for any other id."""
    is_ccsidr = kvm_id & _KIND_MASK == _ARM64_U32 | _DEMUX_CCSIDR and kvm_id & 0xFF00 == 0
    return kvm_id & 0xFF if is_ccsidr else None


_NAMES = {
    of_register(register): register.name for register in REGISTERS.values() if register.name != "CCSIDR_EL1"
}
_NAMES[0x6030_0000_0016_0003] = "KVM_REG_ARM_VENDOR_HYP_BMAP_2"


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
        return f"S{op0}_{op1}_C{crn}_C{crm}_{op2}"
    return f"{kvm_id:#x}"
