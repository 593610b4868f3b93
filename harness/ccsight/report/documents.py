"""What ``--json`` prints: one object on stdout, register values as 0x-hex strings.

``compare`` and ``show`` print a :class:`Document`:

    run          id, created (UTC), ccsight's version, argv that repeats it
    kernels      the old one first: as planned, and the behaviours that were observed of it
    machines     a :class:`Machine` each: what was shown under the old and the new kernel, what differs,
                 its physical CPUs by what they show, and every comparison and law with its findings
    status       the worst status of all; exit_code is what the shell gets

``diff`` prints a :class:`Difference`, ``compare --dry-run`` a :class:`Planned`. Field names are those
of the evidence types (``ccsight.evidence``), registers and fields those of the Arm ARM.
"""

import msgspec

from ccsight.evidence.boots import Boot
from ccsight.evidence.cases import Case, Finding, PlannedCase
from ccsight.evidence.failure import Failure
from ccsight.evidence.linux import LinuxGuest
from ccsight.evidence.model import KernelFacts, MachineFacts
from ccsight.evidence.plan import PlannedKernel
from ccsight.evidence.record import Hex, Record
from ccsight.evidence.views import Cell, View, Write
from ccsight.report.remedies import Advice
from ccsight.status import Status


class Run(Record, frozen=True):
    """Which run it is, and the command that repeats it."""

    id: str
    created: str
    ccsight: str
    argv: tuple[str, ...]


class Kernel(PlannedKernel, frozen=True, kw_only=True):
    """A kernel as planned, and the names of the behaviours that were observed of it (mostly one)."""

    behaviours: tuple[str, ...]


class CacheShown(Record, frozen=True):
    """A cache that the guest finds, in bytes, ways and sets; null where its CCSIDR_EL1 cannot be read.

    ``fabricated`` is true where KVM made the size up: one set of one way.
    """

    name: str
    level: int
    side: str
    selector: int
    size: int | None
    human_size: str
    line: int | None
    ways: int | None
    sets: int | None
    fabricated: bool


class Shown(Record, frozen=True):
    """What a machine showed under one kernel; or, with ``failure``, why nothing was observed.

    ``failures`` says why single programs observed nothing, by their names; ``boots`` how the kernel and its
    base booted, where it did not come up. ``linux`` are Linux guests, where they were asked for.
    ``views`` have the physical CPU to which they were pinned, ``writes`` are what a VM carried from CPU to
    CPU; ``machine.declared`` is what the silicon table makes the CPUs say, observed by nobody.
    """

    cell: str
    kernel: KernelFacts | None = None
    machine: MachineFacts | None = None
    behaviour: str = ""
    caches: tuple[CacheShown, ...] = ()
    views: tuple[View, ...] = ()
    writes: tuple[Write, ...] = ()
    registers_listed: int | None = None
    ccsidr_listed: int | None = None
    seconds: dict[str, float] = msgspec.field(default_factory=dict)
    failure: Failure | None = None
    failures: dict[str, Failure] = msgspec.field(default_factory=dict)
    boots: tuple[Boot, ...] = ()
    linux: tuple[LinuxGuest, ...] = ()


class CpuGroup(Record, frozen=True):
    """Physical CPUs that are of one kind, and look the same under every kernel."""

    cpus: tuple[int, ...]
    core: str
    midr: Hex


class Migration(Record, frozen=True):
    """A VM that went from one kernel to another: how it was launched, and what becomes of it with a VMM.

    ``source_machine`` and ``destination_machine`` are the same, unless it left its machine.
    """

    source: str
    destination: str
    source_machine: str
    destination_machine: str
    how: str
    vmm: str
    outcome: str
    why: str


class Machine(Record, frozen=True):
    """One machine: both sides, what differs field by field, in sentences, and all judgements.

    ``capability`` says which kernel has the one that a run asked for, ``remedies`` what mends a roll-back.
    """

    machine: str
    old: Shown | None
    new: Shown | None
    differences: tuple[Finding, ...]
    sentences: tuple[str, ...]
    cpu_groups: tuple[CpuGroup, ...]
    comparisons: tuple[Case, ...]
    laws: tuple[Case, ...]
    migrations: tuple[Migration, ...] = ()
    capability: tuple[str, ...] = ()
    remedies: tuple[Advice, ...] = ()


class Document(Record, frozen=True):
    """A whole run."""

    schema: int
    run: Run
    kernels: tuple[Kernel, ...]
    machines: tuple[Machine, ...]
    status: Status
    exit_code: int


class Difference(Record, frozen=True):
    """Two captures compared."""

    schema: int
    old: Shown
    new: Shown
    differences: tuple[Finding, ...]
    sentences: tuple[str, ...]
    comparisons: tuple[Case, ...]


class Planned(Record, frozen=True):
    """What a run would do."""

    schema: int
    boots: int
    cells: tuple[Cell, ...]
    cases: tuple[PlannedCase, ...]
