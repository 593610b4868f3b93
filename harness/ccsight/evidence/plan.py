"""What a run promises before anything boots, and how deep it asks: the content of run.json."""

import secrets
from datetime import UTC, datetime

import msgspec

from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.model import BuildFacts, Package
from ccsight.evidence.record import Hex, Record
from ccsight.evidence.views import FUZZ_VALUES, Cell


class PlannedKernel(Record, frozen=True):
    """A kernel of the plan: ``spec`` as asked for, ``pin`` the spec that gives this very kernel again.

    ``base`` is the spec of what it was made from by patches or options, or of a bisection's good end: what is
    booted before it is blamed for not coming up; "" where there is no such thing.
    """

    spec: str
    pin: str
    label: str
    release: str
    image_sha256: str
    packages: tuple[Package, ...] = ()
    build: BuildFacts | None = None
    base: str = ""


class Depth(Record, frozen=True):
    """What is asked in every cell, beside what always is.

    ``fuzz`` is how many random values are written, ``linux`` whether Linux guests run, ``migrate`` whether
    VMs are saved, and restored on every other kernel of the machine, ``across`` whether on every other
    machine, too, ``pmu`` whether they have a PMU where KVM has one; ``native_cap`` is the number of a
    capability that loads a CPU's own values into a VM, 0 where none is tried, ``rules`` whether the new
    kernel is held to what it owes the old one's guests. ``profile`` are the values that a VMM chooses, by
    reading; those of the machine's first kernel where there are none. ``core`` is the MIDR_EL1 of the CPUs on
    which VMs are made, where CPUs are of several kinds and not those of the first kind are meant. ``only``
    names the programs that run, where not all shall.
    """

    fuzz: int = FUZZ_VALUES
    linux: bool = False
    migrate: bool = False
    native_cap: int = 0
    rules: bool = False
    profile: dict[str, Hex] = msgspec.field(default_factory=dict)
    only: tuple[str, ...] = ()
    across: bool = False
    pmu: bool = False
    core: Hex | None = None

    def runs(self, program: str) -> bool:
        """Tell whether a program may run."""
        asked = {
            "linux": self.linux,
            "save": self.migrate,
            "restore": self.migrate,
            "sysfs": "sysfs" in self.only,
        }
        return asked.get(program, True) and (not self.only or program in self.only)


#: What is asked where nobody says otherwise.
USUAL = Depth(migrate=True)
#: Only what profiles are made of: each physical CPU, and what the host's sysfs shows of it.
VALUES = Depth(fuzz=0, only=("view", "sweep", "sysfs"))
#: Nothing but VMs that move, between all kernels.
MOVES = Depth(fuzz=0, migrate=True, only=("view", "save", "restore"))


class Plan(Record, frozen=True):
    """What a run promises, and with what: the content of run.json.

    ``kernels`` has the old one first. ``argv`` is the command that repeats the run. ``silicon`` is the
    text of the user's own silicon table, "" where there is none: ``silicon:`` machines mean the same forever.
    ``depth`` is what is asked in every cell.
    """

    schema: int
    id: str
    created: str
    ccsight: str
    argv: tuple[str, ...]
    kernels: tuple[PlannedKernel, ...]
    machines: tuple[str, ...]
    cells: tuple[Cell, ...]
    cases: tuple[PlannedCase, ...]
    silicon: str = ""
    depth: Depth = Depth()

    def cell(self, machine: str, kernel: str) -> Cell:
        """Return the cell of a machine and a kernel, by their specs."""
        return Cell(machine=machine, kernel=kernel)

    def kernel(self, spec: str) -> PlannedKernel:
        """Return a planned kernel by its spec."""
        return next(planned for planned in self.kernels if planned.spec == spec)

    def label(self, kernel: str) -> str:
        """Return what people call a kernel, by its spec."""
        return next((planned.label for planned in self.kernels if planned.spec == kernel), kernel)

    def title(self, cell: Cell) -> str:
        """Return a cell's name for people."""
        return f"{cell.machine}  {self.label(cell.kernel)}"


def new_run_id() -> str:
    """Return an id that sorts by time (UTC) and does not collide."""
    return f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}-{secrets.token_hex(2)}"


def now() -> str:
    """Return the time as evidence has it: UTC, to the second."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
