"""What the mode of KVM (VHE, nVHE, protected) and MTE may change of what VMs show, as rows.

Nothing, but for a VM that is given MTE: its CLIDR_EL1 says where tags are kept, and it lists registers for
them. A VM that is not protected is the same under ``kvm-arm.mode=protected`` (pKVM) as without.
"""

import re
from collections.abc import Iterable

from ccsight.arm64 import kvm_ids
from ccsight.arm64.registers import CLIDR_EL1
from ccsight.evidence.model import Capture

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
_LISTED = "only a VM with MTE has registers for tags (mte_visibility())"


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
