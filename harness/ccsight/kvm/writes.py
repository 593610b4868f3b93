"""The reference model of KVM_SET_ONE_REG: which errno is right for a write to a cache register.

A model is a function from what was written to a host, and a write, to the answers that are right: errnos, ""
for a write that is taken. No answer means that the model cannot know.
"""

from collections.abc import Callable

from ccsight.arm64 import kvm_ids
from ccsight.arm64.caches import Layout, Side, effective_idc, geometry, minimum_line
from ccsight.arm64.registers import CTR_EL0, ID_AA64MMFR2_EL1, SELECTORS, base_name
from ccsight.evidence.record import Hex
from ccsight.evidence.views import RAN, UNINITIALISED, UNREADABLE, Reading, Vantage, Write
from ccsight.kvm.written import LOWERABLE, POLICY, VIPT, Written, changed_fields, is_lowered, stands_for

#: The answers that are right; none where that is not known.
Answers = tuple[str, ...]
Model = Callable[[Written, Write], Answers]

TAKEN: Answers = ("",)
_ENOENT: Answers = ("ENOENT",)
_EINVAL: Answers = ("EINVAL",)
_EBUSY: Answers = ("EBUSY",)

#: Numbers of L1Ip that no cache has.
_RESERVED = (0, 1)
#: Bits that set_clidr() refuses (CLIDR_EL1_RES0).
_CLIDR_RES0 = (1 << 64) - (1 << 47)


def native(host: Written, write: Write) -> Answers:
    """Linux up to v6.2: what is written must be what is there (demux_c15_set(), set_invariant_sys_reg())."""
    early = _early(host, write)
    if early or write.name == "ID_AA64MMFR2_EL1":
        return early or _features(host, write)
    told = host.told(write)
    if told is None:
        return ()
    return TAKEN if write.value == told else _EINVAL


def normalised(host: Written, write: Write) -> Answers:
    """Linux since 7af0c2534f4c (v6.3): a VMM may say what its guest sees (set_clidr(), set_ccsidr())."""
    early = _early(host, write)
    if early or host.ctr is None:
        return early
    register = base_name(write.name)
    if register == "CCSIDR_EL1":
        side = Side.INSTRUCTION if selector(write.name) & 1 else Side.DATA
        shorter = geometry(write.value, Layout.NARROW).line < minimum_line(host.ctr, side)
        return _EINVAL if shorter else TAKEN
    if register == "CLIDR_EL1":
        needless = effective_idc(0, write.value) and not CTR_EL0.field("IDC").extract(host.ctr)
        return _EINVAL if write.value & _CLIDR_RES0 or needless else TAKEN
    return _ctr(host, write) if register == "CTR_EL0" else _features(host, write)


def selector(name: str) -> int:
    """Return the selector of a reading of CCSIDR_EL1, by its name."""
    return int(name.partition("[")[2][:-1])


def _early(host: Written, write: Write) -> Answers:
    """What is decided before a register's own code is reached, and CSSELR_EL1, which has none."""
    if write.phase == UNINITIALISED:
        return ("ENOEXEC",)  # kvm_arch_vcpu_ioctl(), kvm_vcpu_initialized()
    if write.kvm_id is not None:
        return _foreign(write.kvm_id)
    if base_name(write.name) == "CCSIDR_EL1" and selector(write.name) not in host.selectors & {*SELECTORS}:
        return _ENOENT
    if write.phase == UNREADABLE:
        return ("EFAULT",)
    return TAKEN if write.name == "CSSELR_EL1" else ()


def _foreign(kvm_id: int) -> Answers:
    """An id of another architecture, or with stray bits 51:32, is EINVAL (kvm_arm_set_reg()); else ENOENT."""
    return _EINVAL if (kvm_id & ~kvm_ids.SIZE_MASK) >> 32 != kvm_ids.ARM64 >> 32 else _ENOENT


def _ctr(host: Written, write: Write) -> Answers:
    """CTR_EL0 of a VM: fixed, or since 2843cae26644 (v6.11) to be lowered until the VM has run."""
    told = host.told(write)
    if told is None or write.value == told:
        return TAKEN if told is not None else ()
    if host.lowers_ctr is None:
        return ()
    if not host.lowers_ctr:
        return _EINVAL
    policy = POLICY.extract(write.value)
    if write.phase == RAN:
        first = {True: _EINVAL, False: _EBUSY, None: _EINVAL + _EBUSY}[host.writes_policy]
        return first if policy in _RESERVED else _EBUSY
    if host.writes_policy and policy == VIPT:
        told = told & ~POLICY.mask | VIPT << POLICY.lo
    return TAKEN if is_lowered(CTR_EL0, told, write.value, LOWERABLE) else _EINVAL


def _features(host: Written, write: Write) -> Answers:
    """ID_AA64MMFR2_EL1: nothing is raised (CCIDX: bf48040cd9b0); what may be lowered, other writes show."""
    told, value = host.told(write), stands_for(host, write)
    if told is None or value == told:
        return TAKEN if told is not None else ()
    if write.phase == RAN:
        return _EBUSY if host.busy else _EINVAL
    changed = changed_fields(ID_AA64MMFR2_EL1, told, value)
    if not is_lowered(ID_AA64MMFR2_EL1, told, value, changed) or changed & host.fixed_features:
        return _EINVAL
    return () if changed & ~host.lowered_features else TAKEN


def stays(host: Written, write: Write) -> Reading | None:
    """Return what KVM_GET_ONE_REG says after a write that was refused; None if unknown."""
    if write.phase == UNINITIALISED:
        return Reading(problem="ENOEXEC")
    if write.kvm_id is not None:
        return Reading(problem=_foreign(write.kvm_id)[0])
    return host.before(Vantage.USERSPACE, write)


def shown(host: Written, write: Write) -> Reading | None:
    """Return what the guest reads then: what was taken, else what it read before; None if unknown."""
    value = stands_for(host, write)
    if write.problem or value == host.told(write):
        return host.before(Vantage.GUEST, write)
    return Reading(value=Hex(value))


def moves(host: Written, write: Write) -> tuple[dict[str, Reading], ...]:
    """Return what else may change: CTR_EL0 and ID registers are the VM's, so all its vCPUs' (v6.4, v6.11)."""
    if write.problem or write.name not in ("CTR_EL0", "ID_AA64MMFR2_EL1"):
        return ({},)
    value = stands_for(host, write)
    both = {f"vCPU {1 - write.vcpu} {write.name}": Reading(value=Hex(value))}
    return (both, {}) if value == host.told(write) else (both,)
