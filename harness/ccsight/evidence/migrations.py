"""The types of a migration's evidence: a VM that was saved, and what became of it where it was restored.

Only what KVM and the guest said; which VMM would have refused, and what a guest would notice, is judged.
"""

from enum import StrEnum

from ccsight.evidence.record import Hex, Record
from ccsight.evidence.views import Cell, Reading, View, Write

#: With which values a VM is launched: those that KVM gives it ...
AS_LAUNCHED = "as-launched"
#: ... those of a profile, which the VMM writes before the first KVM_RUN ...
PROFILED = "profiled"
#: ... or those of a physical CPU, wherever KVM has a capability that lets it load them.
NATIVE_CAP = "native-cap"

#: The phases of a VM that moves: before it is saved; and behind it what the guest remembers from there,
#: and what it reads now.
SAVED, KNOWN, ARRIVED = "saved", "known", "arrived"


class Way(StrEnum):
    """How a VMM restores registers: guests/vmm/migrate.h has the same ones, in the same order."""

    ALL = "all"  #: in saved order, every one, whatever comes of the others
    STOP = "stop"  #: in saved order up to the first that is refused, as Firecracker does
    LIST = "list"  #: in the order of the destination's KVM_GET_REG_LIST, and only those, as QEMU does


class Given(Record, frozen=True):
    """A capability that a VMM enabled, of the VM or of one vCPU; ``problem`` is KVM_ENABLE_CAP's errno."""

    number: int
    argument: Hex
    vcpu: int | None = None
    problem: str = ""


class Saved(Record, frozen=True):
    """A VM that was saved: under which strategy it was launched, what was written and seen before.

    ``file`` lies beside the capture; ``sha256`` and ``size`` are its. The VM was made and run on the physical
    CPU ``cpu``. ``given`` are the capabilities, and ``writes`` what the VMM wrote, before the first run.
    ``ids`` are the registers that the state has, in their order, of the first vCPU.
    """

    strategy: str
    file: str
    sha256: str
    size: int
    cpu: int
    ids: tuple[Hex, ...]
    writes: tuple[Write, ...]
    views: tuple[View, ...]
    given: tuple[Given, ...] = ()


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

    ``source`` and ``strategy`` name the state, ``sha256`` is its hash; it was restored on the physical CPU
    ``cpu``. ``views`` are there for the way ALL: of each vCPU what the guest remembers (KNOWN) and what it
    reads (ARRIVED). ``given`` are the capabilities of the VM that it was restored into, and ``listed`` how
    many registers its KVM_GET_REG_LIST had: with a capability it may be others than a fresh launch's.
    """

    source: Cell
    strategy: str
    sha256: str
    cpu: int
    way: Way
    left: tuple[Left, ...]
    views: tuple[View, ...] = ()
    given: tuple[Given, ...] = ()
    listed: int = 0

    @property
    def refused(self) -> tuple[Left, ...]:
        """The registers that KVM_SET_ONE_REG refused."""
        return tuple(left for left in self.left if left.problem)
