"""What the mode of KVM (VHE, nVHE, protected, nested), MTE and EL2 may change of what VMs show, as rows.

Nothing, but for a VM that is given MTE or EL2: its CLIDR_EL1 says where tags are kept, ID registers say that
it has it, and it lists registers for it. A VM that is not protected is the same under
``kvm-arm.mode=protected`` (pKVM) as without.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ccsight.arm64 import kvm_ids
from ccsight.arm64.kvm_id_parts import parts
from ccsight.arm64.registers import CLIDR_EL1, ID_AA64MMFR2_EL1
from ccsight.evidence.model import Capture
from ccsight.evidence.views import Reading
from ccsight.kvm.gifts import EL2, MTE, Gift
from ccsight.kvm.model import tags_shifted_as_int

#: What KVM says of itself when it starts (kvm_arm_init(), finalize_init_hyp_mode()).
_STARTED = re.compile(r"kvm \[\d+\]: (.+) mode initialized")
#: What the kernel's log says where ARM64_MTE is set.
_LOGGED = "Memory Tagging Extension"
_TTYPES = sum(CLIDR_EL1.field(f"Ttype{level}").mask for level in range(1, 8))
#: Registers that only a VM with MTE lists: RGSR_EL1, GCR_EL1, TFSR_EL1, TFSRE0_EL1 (Linux sys_reg_descs[],
#: mte_visibility()).
_REGISTERS = frozenset(
    map(kvm_ids.of_encoding, ((3, 0, 1, 0, 5), (3, 0, 1, 0, 6), (3, 0, 5, 6, 0), (3, 0, 5, 6, 1)))
)
_TTYPE = "a VM with MTE keeps tags: Ttype at the level of coherency (reset_clidr(), access_clidr())"
_SHIFTED = (
    ": the tags went into the type of a cache, as on Linux v6.3 and later before c6c167afa090 (v6.12): "
    "an int shifted by more than 31 (UBSAN: shift-out-of-bounds in reset_clidr())"
)


@dataclass(frozen=True)
class _Changed:
    """Fields of an ID register that a gift may change, why, and to which value; None: to any."""

    fields: int
    why: str
    value: int | None = None

    def takes(self, now: int) -> bool:
        return self.value is None or now & self.fields == self.value


#: Of each register and gift; no other field may change. KVM does not show nested guests what it does not
#: emulate for them (Linux arch/arm64/kvm/nested.c, limit_nv_id_regs()), MTE among it.
_FIELDS = {
    ("ID_AA64PFR1_EL1", MTE): _Changed(
        0xF << 8 | 0xF << 40 | 0xF << 52, "MTE, MTE_frac and MTEX say that there are tags"
    ),
    ("ID_AA64MMFR2_EL1", EL2): _Changed(
        sum(ID_AA64MMFR2_EL1.field(name).mask for name in ("BBM", "TTL", "ST", "CCIDX", "VARange")),
        "a guest with EL2 has TTL, and none of BBM, ST, CCIDX and VARange, whatever the CPU has "
        "(limit_nv_id_regs())",
        value=1 << ID_AA64MMFR2_EL1.field("TTL").lo,
    ),
}
_LISTED = "only a VM with MTE has registers for tags (mte_visibility())"
#: Whose op1 is 4, and SP_EL2.
_OP1_EL2, _SP_EL2 = 4, (3, 6, 4, 1, 0)
_LISTED_EL2 = "only a vCPU with EL2 has registers of EL2 (el2_visibility())"


def mode(lines: Iterable[tuple[int, str]]) -> str:
    """Return KVM's word for its mode, from the numbered lines of a console; "" where it does not say."""
    found = (match[1] for _, line in lines if (match := _STARTED.search(line)))
    return next(found, "")


def excuse_value(name: str, one: tuple[Capture, int | None], other: tuple[Capture, int | None]) -> str:
    """Return why two captures may show different values of a register, or ""."""
    values = {one[1], other[1]}
    if name != "CLIDR_EL1" or None in values or has_mte(one[0]) == has_mte(other[0]):
        return ""
    without, with_tags = (one[1], other[1]) if has_mte(other[0]) else (other[1], one[1])
    told = without is not None and with_tags is not None and with_tags & ~_TTYPES == without
    return _TTYPE if told else ""


def excuse_ids(ids: frozenset[int], lister: Capture, other: Capture) -> str:
    """Return why one capture may list registers that the other does not, or ""."""
    return _LISTED if ids <= _REGISTERS and has_mte(lister) and not has_mte(other) else ""


def has_mte(capture: Capture) -> bool:
    """Tell whether the host has MTE, by its kernel's log."""
    return any(feature.startswith(_LOGGED) for feature in capture.machine.cpu_features or ())


def expected_clidr(plain: int, gift: Gift) -> int:
    """Return the made-up CLIDR_EL1 of a VM that was given this, from that of one that was given nothing."""
    level = CLIDR_EL1.field("LoC").extract(plain)
    return plain | 2 << CLIDR_EL1.field(f"Ttype{level}").lo if MTE in gift.takes else plain


def excuse_given(name: str, gift: Gift, was: Reading, now: Reading) -> str:
    """Return why a VM that was given something may have another value than one with nothing, or ""."""
    if was.value is None or now.value is None:
        return ""
    if name == "CLIDR_EL1":
        return _TTYPE if now.value != was.value and now.value == expected_clidr(was.value, gift) else ""
    rows = [_FIELDS[name, taken] for taken in gift.takes if (name, taken) in _FIELDS]
    allowed = sum(row.fields for row in rows)
    changed = was.value ^ now.value
    right = not changed & ~allowed and all(row.takes(now.value) for row in rows)
    return "; ".join(row.why for row in rows) if right else ""


def says_of(name: str, gift: Gift, was: Reading, now: Reading) -> str:
    """Return what is known of a value that is wrong: words to add to what is said of it."""
    if name != "CLIDR_EL1" or MTE not in gift.takes or was.value is None:
        return ""
    return _SHIFTED if now.value == tags_shifted_as_int(was.value) else ""


def excuse_listed(ids: frozenset[int], gift: Gift) -> str:
    """Return why a VM that was given something may list these, too, or ""."""
    tags = {kvm_id for kvm_id in ids if kvm_id in _REGISTERS} if MTE in gift.takes else set()
    own = {kvm_id for kvm_id in ids if _is_of_el2(kvm_id)} if EL2 in gift.takes else set()
    reasons = [_LISTED] * bool(tags) + [_LISTED_EL2] * bool(own)
    return "; ".join(reasons) if ids == tags | own else ""


def _is_of_el2(kvm_id: int) -> bool:
    found = parts(kvm_id)
    encoding = found.encoding if found else None
    return encoding is not None and (encoding[1] == _OP1_EL2 or encoding == _SP_EL2)
