"""Why KVM_SET_ONE_REG refuses a register, in words: a row for each rule, by register, errno and behaviour.

``writes`` has the same rules as a model that captures are judged by.
"""

from dataclasses import dataclass

ANY = ""


@dataclass(frozen=True)
class Refusal:
    """A rule that refuses: of which register (``ANY``: all), with what errno, by which kernels, and where."""

    register: str
    errno: str
    behaviour: str
    rule: str
    next_step: str
    source: str


_LIKE_CPUS = "restore only on a host whose CPUs have the same value, or boot Linux 6.3 or newer there"
_BEFORE = "set it after KVM_ARM_VCPU_INIT and before the first KVM_RUN of any of the VM's vCPUs"

REFUSALS = (
    Refusal(
        "CTR_EL0",
        "EINVAL",
        "native",
        "any value but the one that the host's kernel keeps",
        _LIKE_CPUS,
        "set_invariant_sys_reg()",
    ),
    Refusal(
        "CLIDR_EL1",
        "EINVAL",
        "native",
        "any value but that of the CPU on which KVM started",
        _LIKE_CPUS,
        "set_invariant_sys_reg()",
    ),
    Refusal(
        "CCSIDR_EL1",
        "EINVAL",
        "native",
        "any value but that of the CPU on which the ioctl runs: on big.LITTLE it depends on the scheduler",
        "pin the VMM to CPUs of one kind: taskset -c LIST qemu-system-aarch64 …",
        "demux_c15_set()",
    ),
    Refusal(
        "CCSIDR_EL1",
        "ENOENT",
        "native",
        "the host's CLIDR_EL1 lists no cache with this selector",
        "the state is of a kernel that lists all fourteen (Linux 6.3 or newer), or of other CPUs: leave it "
        "out",
        "is_valid_cache()",
    ),
    Refusal(
        "CLIDR_EL1",
        "EINVAL",
        "normalised",
        "bits 63:47 are not 0; or LoC, or LoUU and LoUIS, are 0 (nothing to clean) while CTR_EL0.IDC is 0",
        "the state promises a coherency that this host does not have: the guest cannot go there",
        "set_clidr()",
    ),
    Refusal(
        "CCSIDR_EL1",
        "EINVAL",
        "normalised",
        "lines shorter than CTR_EL0 says the smallest one is, or bits above 31",
        "the state is of CPUs with shorter lines: the guest would use the wrong stride, it cannot go there",
        "set_ccsidr()",
    ),
    Refusal(
        "CCSIDR_EL1",
        "ENOENT",
        "normalised",
        "the selector is none of 0 to 13",
        "no cache has such a selector: look for a damaged id",
        "demux_c15_set()",
    ),
    Refusal(
        "CTR_EL0",
        "EINVAL",
        "normalised",
        "up to v6.10 any value but the host's; since 2843cae26644 (v6.11) one that raises a field, or "
        "changes "
        "one that is not IDC, DIC, IminLine or DminLine",
        "start the VM with the lower of both hosts' values",
        "set_invariant_sys_reg(), since v6.11 set_id_reg()",
    ),
    Refusal(
        "CTR_EL0",
        "EBUSY",
        "normalised",
        "another value after the VM has run (since v6.11)",
        _BEFORE,
        "set_id_reg()",
    ),
    Refusal(
        "ID_AA64MMFR2_EL1",
        "EINVAL",
        ANY,
        "a field is raised, or one is lowered that this kernel does not let go",
        "start the VM with what both hosts have; ccsight compare shows the fields",
        "set_id_reg(), arm64_check_features()",
    ),
    Refusal("ID_AA64MMFR2_EL1", "EBUSY", ANY, "another value after the VM has run", _BEFORE, "set_id_reg()"),
    Refusal(
        ANY,
        "ENOENT",
        ANY,
        "this kernel has no such register for this VM: it is newer than the kernel, belongs to a feature "
        "that "
        "the VM does not have, or the id says another width",
        "ccsight explain ID names it; ccsight compare OLD NEW says which kernel lists it (CR-014)",
        "kvm_arm_set_reg(), kvm_arm_sys_reg_set_reg()",
    ),
    Refusal(
        ANY,
        "EINVAL",
        ANY,
        "the id is not one of an arm64 register, or has bits where none belong",
        "ccsight explain ID takes it apart",
        "kvm_arm_set_reg()",
    ),
    Refusal(
        ANY,
        "ENOEXEC",
        ANY,
        "the vCPU is not initialised yet",
        "KVM_ARM_VCPU_INIT first",
        "kvm_arch_vcpu_ioctl()",
    ),
    Refusal(
        ANY,
        "EPERM",
        ANY,
        "the vCPU has SVE, and is not finalised yet",
        "KVM_ARM_VCPU_FINALIZE first; the vector lengths before it",
        "kvm_arch_vcpu_ioctl()",
    ),
    Refusal(
        ANY,
        "EFAULT",
        ANY,
        "the address in kvm_one_reg cannot be read",
        "a bug of the VMM: look at its pointer",
        "copy_from_user()",
    ),
)

ERRNOS = tuple(dict.fromkeys(row.errno for row in REFUSALS))


def refusals(register: str, errno: str) -> tuple[Refusal, ...]:
    """Return the rules that may refuse a register (``""``: whichever) with an errno, its own ones first."""
    found = [
        row for row in REFUSALS if row.errno == errno and row.register in (register or row.register, ANY)
    ]
    return tuple(sorted(found, key=lambda row: row.register == ANY))
