"""Boots of a kernel that does not come up, with its base as the control: who was booted, and how each ended.

Blame needs it: a machine that is broken, or slow, lets no kernel come up.
"""

from enum import StrEnum

from ccsight.evidence.failure import Failure
from ccsight.evidence.record import Record
from ccsight.evidence.views import Cell


class End(StrEnum):
    """How one boot ended."""

    UP = "up"  #: it came up, and has proved who it is
    DOWN = "down"  #: the machine did not come up with it: a panic, a hang, no login
    UNTRIED = "untried"  #: the lab or the harness kept it from being tried


class Role(StrEnum):
    """Which of the two kernels was booted."""

    PATCHED = "patched"
    BASE = "base"


class Boot(Record, frozen=True):
    """One boot. ``console`` is its file in the run's folder, ``failure`` why it is not up.

    ``release``, ``build_id`` and ``boot_id`` are what the running system said of itself.
    """

    role: Role
    kernel: str
    end: End
    console: str
    failure: Failure | None = None
    release: str = ""
    build_id: str = ""
    boot_id: str = ""


#: What convicts a patched kernel: two failures, and between them a good boot of its base.
CONVICTS = ((Role.PATCHED, End.DOWN), (Role.BASE, End.UP), (Role.PATCHED, End.DOWN))


class Boots(Record, frozen=True):
    """All boots that a cell took whose kernel did not come up, in their order, on the cell's machine."""

    schema: int
    cell: Cell
    boots: tuple[Boot, ...]

    @property
    def convicts(self) -> bool:
        """True when it is the patched kernel's fault, and no machine's."""
        return tuple((boot.role, boot.end) for boot in self.boots) == CONVICTS
