"""How VMMs restore a saved VM, as rows: which of what KVM says makes them stop. Pure.

What KVM says was observed, in the way that each VMM goes; a new VMM, or version, is a row here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from ccsight.arm64.kvm_ids import COUNTERS, name
from ccsight.arm64.registers import in_short
from ccsight.evidence.migrations import Left, Restored, Way


class Outcome(StrEnum):
    """What becomes of a VM that moves, worst first."""

    REFUSED = "refused"  #: it does not start at the destination
    LOSSY = "lossy"  #: it starts, but not all that was saved arrived, or could be saved
    VISIBLE = "visible"  #: all arrived, but the guest reads something else than it did
    TRANSPARENT = "transparent"  #: the guest notices nothing


@dataclass(frozen=True)
class Move:
    """What KVM said of one state at one destination, and how many registers either kernel lists."""

    restored: dict[Way, Restored]
    saved: int
    listed: int


@dataclass(frozen=True)
class Vmm:
    """A VMM: its name, the way in which it restores, and why it does not start a VM, "" where it does."""

    name: str
    way: Way
    stops: Callable[[Move], str]
    source: str


def lost(restored: Restored) -> tuple[Left, ...]:
    """Return what did not arrive; counters go on counting, which is no loss."""
    return tuple(left for left in restored.left if left.kvm_id not in COUNTERS)


def named(found: tuple[Left, ...]) -> str:
    """Return registers in short, each once: ``CCSIDR_EL1[3-13], TCR2_EL1``."""
    return _named(tuple(left.kvm_id for left in found))


@lru_cache(maxsize=1 << 10)
def _named(kvm_ids: tuple[int, ...]) -> str:
    """Return the names of ids in short; VMs of a kernel lack the same ones over and over."""
    return in_short(map(name, sorted(set(kvm_ids))))


def by_errno(refused: tuple[Left, ...]) -> str:
    """Return which registers were refused, and how: ``CLIDR_EL1 EINVAL, CCSIDR_EL1[3-13] ENOENT``."""
    errnos = dict.fromkeys(left.problem for left in refused)
    return "; ".join(
        f"{named(tuple(left for left in refused if left.problem == errno))} {errno}" for errno in errnos
    )


def _any_refusal(move: Move) -> str:
    return by_errno(move.restored[Way.ALL].refused)


def _first_refusal(move: Move) -> str:
    return by_errno(move.restored[Way.STOP].refused[:1])


def _qemu_counts(move: Move) -> str:
    """QEMU 7.2 and 10.0 compare how many registers come with how many there are, before they set anything.

    They name none. What they list is not what KVM lists to ccprobe: core and SVE registers go another way.
    It grows by as many, of VMs that both have a PMU, or none: newer kernels list PMMIR_EL1 with one.
    """
    unlisted = _unlisted(move)
    if move.saved > move.listed:
        return (
            f"failed to load cpu:cpreg_vmstate_array_len: {move.saved - move.listed} registers more come "
            f"than there are, and it names none: {named(unlisted)} not listed here"
        )
    if unlisted:
        return f"{named(unlisted)} not listed here"
    return by_errno(move.restored[Way.LIST].refused)


def _qemu_values(move: Move) -> str:
    """QEMU 11.1 sets what it lists, and stops where KVM refuses a value.

    Of what it does not list it says "fail migration", but 11.1.2 does not: the guest goes on without.
    """
    return by_errno(move.restored[Way.LIST].refused)


def unknown_to_qemu(move: Move) -> tuple[Left, ...]:
    """Return what QEMU 11.1 names because it comes without being listed."""
    return tuple(left for left in _unlisted(move) if not _tolerated(left))


def _unlisted(move: Move) -> tuple[Left, ...]:
    """Return what comes without being listed, counters included: QEMU asks for no values."""
    return tuple(left for left in move.restored[Way.LIST].left if left.unlisted)


#: What QEMU 11.1 does not even name though the destination does not list it: where it has this value, if any.
TOLERATED: dict[str, int | None] = {
    "TCR2_EL1": None,
    "PIR_EL1": None,
    "PIRE0_EL1": None,
    "KVM_REG_ARM_VENDOR_HYP_BMAP_2": 0,
}


def _tolerated(left: Left) -> bool:
    register = name(left.kvm_id)
    return register in TOLERATED and TOLERATED[register] in (None, left.saved.value)


def _never(move: Move) -> str:
    return ""


#: From the strictest to one that does not exist, but shows what KVM alone would do.
VMMS = (
    Vmm("QEMU up to 10", Way.LIST, _qemu_counts, "QEMU target/arm/machine.c cpu_post_load()"),
    Vmm("QEMU 11.1", Way.LIST, _qemu_values, "QEMU target/arm: arm_register_cpreg_mig_tolerance()"),
    Vmm("Firecracker", Way.STOP, _first_refusal, "Firecracker src/vmm/src/arch/aarch64/vcpu.rs"),
    Vmm("a VMM that wants all", Way.ALL, _any_refusal, "restores every register that was saved"),
    Vmm("a VMM that ignores errors", Way.ALL, _never, "restores what KVM takes, and goes on"),
)


def of_qemu(version: tuple[int, int]) -> Vmm:
    """Return the row of a QEMU by its release: 7.2, 10.0 and 11.1 were measured."""
    wanted = "QEMU 11.1" if version >= (11, 1) else "QEMU up to 10"
    return next(vmm for vmm in VMMS if vmm.name == wanted)
