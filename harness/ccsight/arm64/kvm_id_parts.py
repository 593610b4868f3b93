"""What the bits of a KVM register id say: architecture, width, kind, and which register of that kind.

Linux include/uapi/linux/kvm.h (KVM_REG_SIZE_MASK) and arch/arm64/include/uapi/asm/kvm.h
(KVM_REG_ARM_COPROC_MASK). ``kvm_ids`` makes and names ids; this takes them apart for people.
"""

from dataclasses import dataclass

from ccsight.arm64.kvm_ids import ARM64, SIZE_MASK

_ARCH_MASK = 0xFF00_0000_0000_0000
_KIND_SHIFT, _KIND_MASK = 16, 0x0FFF_0000
_SYSREG = 0x0013


@dataclass(frozen=True)
class Kind:
    """A kind of register that KVM knows by ids."""

    name: str
    says: str


KINDS = {
    0x0010: Kind("core", "general-purpose, floating-point and status registers, by their place in kvm_regs"),
    0x0011: Kind("demux", "one id for each value of a selector: cache sizes, by CSSELR_EL1"),
    _SYSREG: Kind("system register", "by the encoding of its MRS: op0, op1, CRn, CRm, op2"),
    0x0014: Kind("firmware", "no register of the CPU: what PSCI and workarounds KVM offers the guest"),
    0x0015: Kind("SVE", "vector registers; listed once KVM_ARM_VCPU_FINALIZE has been called"),
    0x0016: Kind("firmware bitmap", "no register of the CPU: which hypercalls KVM offers, a bit each"),
}


@dataclass(frozen=True)
class Parts:
    """An id, taken apart; ``encoding`` is that of a system register, ``rest`` what is left of any other."""

    bits: int
    kind: Kind
    encoding: tuple[int, int, int, int, int] | None
    rest: int


def parts(kvm_id: int) -> Parts | None:
    """Return what an id says, or None for a number that is no id of a KVM/arm64 register."""
    kind = KINDS.get((kvm_id & _KIND_MASK) >> _KIND_SHIFT)
    stray = kvm_id & ~(_ARCH_MASK | SIZE_MASK | _KIND_MASK | 0xFFFF)
    if kvm_id & _ARCH_MASK != ARM64 or kind is None or stray:
        return None
    rest = kvm_id & 0xFFFF
    encoding = (rest >> 14, rest >> 11 & 7, rest >> 7 & 15, rest >> 3 & 15, rest & 7)
    return Parts(
        bits=8 << ((kvm_id & SIZE_MASK) >> 52),
        kind=kind,
        encoding=encoding if kind is KINDS[_SYSREG] else None,
        rest=rest,
    )
