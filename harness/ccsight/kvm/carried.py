"""What is known of the registers that a VMM carries: which kernels list them, and what to do about it.

As rows, by the base name of a register. What a given pair of kernels really lists, CR-014 measures.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Carried:
    """A register as a VMM meets it: who lists it, who may change it, what to do where that is in the way."""

    listed: str
    settable: str
    next_step: str
    source: str


_LOWERED = "compare both hosts' values: ccsight compare OLD NEW, table rows of this register"
_HIDDEN = Carried(
    listed="by some kernels always, by newer ones only where the VM has the feature",
    settable="guest state: any value",
    next_step="QEMU's error is 'failed to load cpu:cpreg_vmstate_array_len'; a VM without the feature loses "
    "nothing where the destination drops it",
    source="Linux a68cddbe47ef (S1PIE), 0fcb4eea5345 (TCR2)",
)

CARRIED = {
    "CTR_EL0": Carried(
        listed="by every kernel",
        settable="up to v6.10 only to the host's own value; since 2843cae26644 (v6.11) lowered, before the "
        "VM "
        "has run",
        next_step=_LOWERED,
        source="Linux arch/arm64/kvm/sys_regs.c: set_invariant_sys_reg(), since v6.11 ID_WRITABLE(CTR_EL0)",
    ),
    "CLIDR_EL1": Carried(
        listed="by every kernel",
        settable="up to v6.2 only to the host's own value; since 7af0c2534f4c (v6.3) to what set_clidr() "
        "takes",
        next_step="restore it before the VM runs; a kernel up to v6.2 takes a saved value only on like CPUs",
        source="Linux arch/arm64/kvm/sys_regs.c: set_invariant_sys_reg(), since v6.3 set_clidr()",
    ),
    "CCSIDR_EL1": Carried(
        listed="up to v6.2 for the caches that the host's CLIDR_EL1 lists; since 7af0c2534f4c (v6.3) for all "
        "fourteen selectors",
        settable="up to v6.2 only to the value of the CPU that the ioctl runs on; since v6.3 to what "
        "set_ccsidr() takes",
        next_step="on a host with several kinds of core, pin the VM to one kind; from v6.3 back to v6.2, "
        "expect "
        "the VMM to refuse: the list shrinks",
        source="Linux arch/arm64/kvm/sys_regs.c: demux_c15_set(), since v6.3 set_ccsidr()",
    ),
    "CSSELR_EL1": Carried(
        listed="by every kernel",
        settable="guest state: any value",
        next_step="nothing: the guest's own choice of a cache, which moves with it",
        source="Linux arch/arm64/kvm/sys_regs.c",
    ),
    "ID_AA64MMFR2_EL1": Carried(
        listed="by every kernel",
        settable="the host's value; newer kernels let some fields be lowered before the VM has run; CCIDX "
        "is 0 "
        "since bf48040cd9b0 (v6.3)",
        next_step=_LOWERED,
        source="Linux arch/arm64/kvm/sys_regs.c: set_id_reg()",
    ),
    "TCR2_EL1": _HIDDEN,
    "PIR_EL1": _HIDDEN,
    "PIRE0_EL1": _HIDDEN,
    "KVM_REG_ARM_VENDOR_HYP_BMAP_2": Carried(
        listed="since c0000e58c74e (v6.16), for every VM",
        settable="bits cleared, before the VM has run",
        next_step="to go back to an older kernel, hide it from QEMU: -cpu …,kvm-hidden-regs=… where QEMU "
        "has it",
        source='Linux c0000e58c74e ("KVM: arm64: Introduce KVM_REG_ARM_VENDOR_HYP_BMAP_2")',
    ),
}

#: A register of which there is no row.
OTHERS = Carried(
    listed="not known here; a kernel says it with KVM_GET_REG_LIST",
    settable="not known here",
    next_step="ccsight compare OLD NEW tells whether one kernel lists it and the other does not (CR-014)",
    source="",
)
