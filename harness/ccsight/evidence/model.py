"""The types of evidence. Frozen, strict, versioned; register values travel as 0x-hex strings.

A *capture* is everything that one boot of one cell said. It holds no judgement: those are
recomputed from it (see ``checks``).
"""

import hashlib
import re
from enum import StrEnum
from typing import Protocol

import msgspec

from ccsight.evidence.failure import Failure
from ccsight.evidence.linux import LinuxGuest
from ccsight.evidence.record import Hex, Record

_PLAIN = re.compile(r"[A-Za-z0-9.:-]{1,48}")
_ODD = re.compile(r"[^A-Za-z0-9.-]")

#: Raised with every change of the types below that an older ccsight would stumble over.
SCHEMA = 3
#: The schemas that are read: what an older one lacks has a default.
READABLE = (1, 2, 3)


#: The phases of the programs. A VM that was made and looked at, on whatever CPU ...
LAUNCH = "launch"
#: ... one for each physical CPU, made, looked at and run there ...
PINNED = "pinned"
#: ... one that is made on the first CPU and taken from CPU to CPU while it lives ...
MOVED = "moved"
#: ... one that is given, on its CPU, what was read on another one.
CARRIED = "carried"
#: No VM at all: the host's own kernel.
HOST = "host"
#: When a register is written: before KVM_ARM_VCPU_INIT, after it, after the vCPU has run ...
UNINITIALISED, FRESH, RAN = "uninitialised", "fresh", "ran"
#: ... from an address where nothing is, after KVM_ARM_VCPU_INIT ...
UNREADABLE = "unreadable"
#: ... and with values that a generator of random numbers chose.
FUZZED = "fuzzed"
#: ... or with less and less of such a value, because it went wrong.
SHRUNK = "shrunk"
#: How many of them there are, unless a run was asked for more or less.
FUZZ_VALUES = 300
#: The most that a cell has the time for, on an emulated machine.
FUZZ_MOST = 10_000
#: Moments in the life of a vCPU, after which nothing may have changed since it was made and first run.
BEFORE = "before"
LIFE = ("cpu-on", "cpu-off-on", "second-run", "re-init", "system-reset", "beside", "late")


class Vantage(StrEnum):
    """From where a register was read."""

    HARDWARE = "hardware"  #: MRS in the host's kernel, on one physical CPU
    USERSPACE = "userspace"  #: KVM_GET_ONE_REG, as a VMM sees it
    GUEST = "guest"  #: MRS at the guest's EL1
    GUEST_EL0 = "guest_el0"  #: MRS at the guest's EL0
    GUEST_EL2 = "guest_el2"  #: MRS at the guest's EL2, where it was given one
    GUEST_AARCH32 = "guest_aarch32"  #: MRC at an AArch32 EL1


class Substrate(StrEnum):
    """What a machine is made of, as observed; unknown is not metal."""

    METAL = "metal"
    VIRTUAL = "virtual"
    EMULATED = "emulated"
    UNKNOWN = "unknown"


class Reading(Record, frozen=True):
    """One register read once: a value, or the problem that came instead (``ENOENT``, ``UNDEF``)."""

    value: Hex | None = None
    problem: str = ""


class View(Record, frozen=True):
    """What one vantage saw of one vCPU in one phase of one program.

    ``cpu`` is the physical CPU to which the thread was pinned meanwhile, None where it ran wherever the
    host put it. ``vcpu`` is None where there is none: at the vantage ``hardware``. ``readings`` maps names
    such as ``CLIDR_EL1`` and ``CCSIDR_EL1[2]`` to what came back.
    """

    vantage: Vantage
    vcpu: int | None
    program: str
    phase: str
    readings: dict[str, Reading]
    cpu: int | None = None

    def value(self, name: str) -> int | None:
        """Return a register's value, or None when it could not be read or was not asked for."""
        reading = self.readings.get(name)
        return None if reading is None else reading.value


class Write(Record, frozen=True):
    """One KVM_SET_ONE_REG: what was written to which vCPU, what came of it, what GET says afterwards.

    ``cpu`` is the physical CPU on which the ioctl ran, ``origin`` the one on which ``value`` had been read;
    None where nothing was pinned. ``problem`` is the errno's name, "" for a write that was accepted.
    ``kvm_id`` is given where it is not the register's own id. ``seen`` is what the guest read of the register
    afterwards, None where it was not run; ``beside`` has what it read at the same time of the registers that
    go together with CTR_EL0, where that was written. ``moved`` has what else changed meanwhile, by
    ``vCPU 1 CLIDR_EL1``.
    """

    vcpu: int
    program: str
    phase: str
    name: str
    value: Hex
    problem: str
    after: Reading
    cpu: int | None = None
    origin: int | None = None
    kvm_id: Hex | None = None
    seen: Reading | None = None
    moved: dict[str, Reading] = msgspec.field(default_factory=dict)
    beside: dict[str, Reading] = msgspec.field(default_factory=dict)


class RegisterList(Record, frozen=True):
    """What KVM_GET_REG_LIST said of one vCPU in one phase, in KVM's order."""

    vcpu: int
    ids: tuple[Hex, ...]
    phase: str = LAUNCH


class Evidence(Protocol):
    """What one boot has said so far, as the reference model takes it: a capture, or what becomes one."""

    @property
    def views(self) -> tuple[View, ...]: ...  # noqa: D102 - as in a capture

    @property
    def register_lists(self) -> tuple[RegisterList, ...]: ...  # noqa: D102

    @property
    def writes(self) -> tuple[Write, ...]: ...  # noqa: D102


class Package(Record, frozen=True):
    """A distribution's package, pinned."""

    name: str
    version: str
    sha256: str


class PatchFacts(Record, frozen=True):
    """A patch that was applied: its subject (or file name) and the hash of what was applied."""

    subject: str
    sha256: str


class BuildFacts(Record, frozen=True):
    """What a kernel was built from. Equal ``code_sha256`` means: the same code, whatever the build-ids say.

    ``provenance`` says where the source is from: package and file hashes, commit, or folder. ``tree`` is
    the git tree id of the patched source, ``config_sha256`` that of the resolved .config without its salt.
    """

    source: str
    provenance: tuple[tuple[str, str], ...]
    tree: str
    patches: tuple[PatchFacts, ...]
    fragments: tuple[str, ...]
    config_sha256: str
    toolchain: str
    code_sha256: str


class KernelFacts(Record, frozen=True):
    """Which kernel it was: what was asked for, and what the running one said of itself."""

    spec: str
    label: str
    release: str
    banner: str
    build_id: str
    image_sha256: str
    packages: tuple[Package, ...] = ()
    build: BuildFacts | None = None


class Cpu(Record, frozen=True):
    """One physical CPU of the host, by its own identification registers."""

    midr: Hex
    revidr: Hex


class Declared(Record, frozen=True):
    """What a row of the silicon table makes one emulated CPU say: declared, by nobody observed.

    ``registers`` holds the values by reading (``CCSIDR_EL1[2]``; ``REGISTER.FIELD`` where a row gives but a
    part), ``hits`` how many reads of each register were overridden. ``values`` is ``published``, ``computed``
    or ``partial``; ``source`` says where they are from.
    """

    cpu: int
    core: str
    values: str
    source: str
    registers: dict[str, Hex]
    hits: dict[str, int]


class MachineFacts(Record, frozen=True):
    """Which machine it was, as observed on it, and how it was started where we started it.

    ``cpu_features`` is what the kernel's log calls detected, such as ``Mismatched cache type (CTR_EL0)``;
    None where the log cannot be read or has lost its beginning. ``declared`` has a row for each CPU whose
    registers come from the silicon table.
    """

    spec: str
    substrate: Substrate
    compatible: str
    boot_id: str
    command_line: str
    cpus: tuple[Cpu, ...]
    emulator: str = ""
    argv: tuple[str, ...] = ()
    cpu_features: tuple[str, ...] | None = None
    declared: tuple[Declared, ...] = ()


class Splat(Record, frozen=True):
    """A complaint of the kernel on its console: of what kind, on which line it begins, its first lines."""

    kind: str
    line: int
    text: tuple[str, ...]


class Console(Record, frozen=True):
    """What the host's console showed from power-on to the end of the capture.

    ``file`` is in the run's folder. ``lines`` counts those that hold something: that it was read. ``mode`` is
    KVM's word for how it runs: ``VHE``, ``Hyp nVHE``, ``Protected hVHE`` …; "" where it did not say.
    """

    file: str
    lines: int
    splats: tuple[Splat, ...]
    mode: str = ""


class Cell(Record, frozen=True):
    """A machine and a kernel, by their specs: what one boot answers for."""

    machine: str
    kernel: str

    @property
    def id(self) -> str:
        """A name that is unique in a run and fit for a folder."""
        return f"{slug(self.machine)}--{slug(self.kernel)}"

    @property
    def title(self) -> str:
        """The same for people."""
        return f"{self.machine}  {self.kernel}"


class Capture(Record, frozen=True):
    """All that one boot of one cell said."""

    schema: int
    cell: Cell
    kernel: KernelFacts
    machine: MachineFacts
    views: tuple[View, ...]
    register_lists: tuple[RegisterList, ...]
    programs: dict[str, str]  #: name -> SHA-256 of each probe and guest that ran
    seconds: dict[str, float]  #: stage -> how long it took, wall clock
    writes: tuple[Write, ...] = ()
    console: Console | None = None
    #: those of VMs that were given something (``kvm.gifts``); ``register_lists`` has those of the launch
    lists_given: tuple[RegisterList, ...] = ()
    #: the host's own kernel as a guest, where that was asked for
    linux: tuple[LinuxGuest, ...] = ()
    #: program -> why it observed nothing, where others did
    failures: dict[str, Failure] = msgspec.field(default_factory=dict)

    @property
    def launch(self) -> tuple[View, ...]:
        """The views of a VM as it was launched: pinned to no CPU, nothing written to it."""
        return tuple(view for view in self.views if view.phase == LAUNCH)

    def view(self, vantage: Vantage, vcpu: int) -> View | None:
        """Return what a vantage saw of a vCPU at launch, or None when nobody looked."""
        return next((view for view in self.launch if (view.vantage, view.vcpu) == (vantage, vcpu)), None)

    def vcpus(self) -> tuple[int, ...]:
        """Return the vCPUs that any view of the launch covers, in order."""
        return tuple(sorted({view.vcpu for view in self.launch if view.vcpu is not None}))


def slug(spec: str) -> str:
    """Return a spec as a file name that no other spec has: readable where it is short and plain.

    A colon becomes ``_``. A spec with anything else that does not fit a file name, or a long one, is
    cut and ends in a hash of itself.
    """
    if _PLAIN.fullmatch(spec):
        return spec.replace(":", "_")
    digest = hashlib.sha256(spec.encode()).hexdigest()[:8]
    return f"{_ODD.sub('_', spec)[:40]}-{digest}"
