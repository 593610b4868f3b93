"""The types of a migration's evidence: a VM that was saved, and what became of it where it was restored.

Only what KVM and the guest said; which VMM would have refused, and what a guest would notice, is judged.
"""

from enum import StrEnum

from ccsight.evidence.record import Hex, Record
from ccsight.evidence.views import Cell, Reading, View, Write

#: With which values a VM is launched: those that KVM gives it ...
AS_LAUNCHED = "as-launched"
#: ... or those of a profile, which the VMM writes before the first KVM_RUN.
PROFILED = "profiled"

#: The phases of a VM that moves: before it is saved; and behind it what the guest remembers from there,
#: and what it reads now.
SAVED, KNOWN, ARRIVED = "saved", "known", "arrived"


class Way(StrEnum):
    """How a VMM restores registers: guests/vmm/migrate.h has the same ones, in the same order."""

    ALL = "all"  #: in saved order, every one, whatever comes of the others
    STOP = "stop"  #: in saved order up to the first that is refused, as Firecracker does
    LIST = "list"  #: in the order of the destination's KVM_GET_REG_LIST, and only those, as QEMU does


class Saved(Record, frozen=True):
    """A VM that was saved: under which strategy it was launched, what was written and seen before.

    ``file`` lies beside the capture; ``sha256`` and ``size`` are its. ``writes`` are the VMM's, before the
    first run. ``ids`` are the registers that the state has, in their order, of the first vCPU.
    """

    strategy: str
    file: str
    sha256: str
    size: int
    ids: tuple[Hex, ...]
    writes: tuple[Write, ...]
    views: tuple[View, ...]


class Left(Record, frozen=True):
    """A register of a vCPU that did not arrive as it was saved.

    ``saved`` is its value in the state (of a long one the first 8 bytes), ``problem`` the errno of
    KVM_SET_ONE_REG, ``unlisted`` that the destination's KVM_GET_REG_LIST lacks it, ``now`` what
    KVM_GET_ONE_REG says of it afterwards where that is something else.
    """

    vcpu: int
    kvm_id: Hex
    saved: Reading
    problem: str = ""
    unlisted: bool = False
    now: Reading | None = None


class Restored(Record, frozen=True):
    """A state that was restored, in one way: which registers did not arrive, and what the guest says then.

    ``source`` and ``strategy`` name the state, ``sha256`` is its hash. ``views`` are there for the way ALL:
    of each vCPU what the guest remembers (KNOWN) and what it reads (ARRIVED). ``problem`` says why the guest
    did not go on.
    """

    source: Cell
    strategy: str
    sha256: str
    way: Way
    left: tuple[Left, ...]
    views: tuple[View, ...] = ()
    problem: str = ""

    @property
    def refused(self) -> tuple[Left, ...]:
        """The registers that KVM_SET_ONE_REG refused."""
        return tuple(left for left in self.left if left.problem)
