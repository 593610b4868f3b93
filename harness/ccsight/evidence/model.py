"""The types of evidence. Frozen, strict, versioned; register values travel as 0x-hex strings.

A *capture* is everything that one boot of one cell said. It holds no judgement: those are
recomputed from it (see ``checks``).
"""

from enum import StrEnum

import msgspec

from ccsight.evidence.failure import Failure
from ccsight.evidence.linux import LinuxCpu, LinuxGuest
from ccsight.evidence.migrations import Restored, Saved
from ccsight.evidence.record import Hex, Record
from ccsight.evidence.views import LAUNCH, Cell, RegisterList, Vantage, View, Write

#: Raised with every change of the types below that an older ccsight would stumble over.
SCHEMA = 4
#: The schemas that are read: what an older one lacks has a default.
READABLE = (1, 2, 3, 4)


class Substrate(StrEnum):
    """What a machine is made of, as observed; unknown is not metal."""

    METAL = "metal"
    VIRTUAL = "virtual"
    EMULATED = "emulated"
    UNKNOWN = "unknown"


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


class Reboot(Record, frozen=True):
    """How a real machine was booted once into the kernel: by which method.

    ``recovery`` is its recovery class: what had been seen to bring it back from such boots (``panic``,
    ``timer``, ``watchdog``, ``power``); nothing where nobody has seen it come back.
    """

    method: str
    recovery: tuple[str, ...] = ()


class MachineFacts(Record, frozen=True):
    """Which machine it was, as observed on it, and how it was started where we started it.

    ``cpu_features`` is what the kernel's log calls detected, such as ``Mismatched cache type (CTR_EL0)``;
    None where the log cannot be read or has lost its beginning. ``declared`` has a row for each CPU whose
    registers come from the silicon table. ``reboot`` is for real machines that ran another kernel before.
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
    reboot: Reboot | None = None


class Splat(Record, frozen=True):
    """A complaint of the kernel on its console: of what kind, on which line it begins, its first lines."""

    kind: str
    line: int
    text: tuple[str, ...]


class Console(Record, frozen=True):
    """What the host's console showed from power-on to the end of the capture.

    ``file`` is in the run's folder. ``lines`` counts those that hold something: that it was read. ``mode`` is
    KVM's word for how it runs: ``VHE``, ``Hyp nVHE``, ``Protected hVHE`` …; "" where it did not say.
    ``whole`` is whether nobody knows of a part that was not heard.
    """

    file: str
    lines: int
    splats: tuple[Splat, ...]
    mode: str = ""
    whole: bool = True


class Told(Record, frozen=True, kw_only=True):
    """What programs have observed on a machine: what one of them says, or all of them together."""

    views: tuple[View, ...] = ()
    register_lists: tuple[RegisterList, ...] = ()
    #: those of VMs that were given something (``kvm.gifts``); ``register_lists`` has those of the launch
    lists_given: tuple[RegisterList, ...] = ()
    writes: tuple[Write, ...] = ()
    #: the host's own kernel as a guest, where that was asked for
    linux: tuple[LinuxGuest, ...] = ()
    #: what the host's own sysfs shows of its caches, where that was asked for
    sysfs: tuple[LinuxCpu, ...] = ()
    #: VMs that were saved here, and what became of those that were restored here, in this boot or another
    saved: tuple[Saved, ...] = ()
    restored: tuple[Restored, ...] = ()
    #: program -> why it observed nothing, where others did
    failures: dict[str, Failure] = msgspec.field(default_factory=dict)

    def and_told(self, more: "Told") -> "Told":
        """Return what both have observed."""
        both = {name: getattr(self, name) + getattr(more, name) for name in _OBSERVED}
        return Told(**both, failures=self.failures | more.failures)


_OBSERVED = [name for name in Told.__struct_fields__ if name != "failures"]


class Capture(Told, frozen=True, kw_only=True):
    """All that one boot of one cell said."""

    schema: int
    cell: Cell
    kernel: KernelFacts
    machine: MachineFacts
    views: tuple[View, ...]
    register_lists: tuple[RegisterList, ...]
    programs: dict[str, str]  #: name -> SHA-256 of each probe and guest that ran
    seconds: dict[str, float]  #: stage -> how long it took, wall clock
    console: Console | None = None

    def and_arrived(self, arrivals: "Arrivals") -> "Capture":
        """Return this with what the cell's boot for restoring said."""
        return msgspec.structs.replace(
            self,
            restored=self.restored + arrivals.restored,
            failures=self.failures | arrivals.failures,
        )

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


class Arrivals(Record, frozen=True):
    """All that a boot said in which states were only restored.

    One that did not come up has no facts, and says under ``restore`` in ``failures`` why.
    """

    schema: int
    cell: Cell
    kernel: KernelFacts | None = None
    machine: MachineFacts | None = None
    restored: tuple[Restored, ...] = ()
    seconds: dict[str, float] = msgspec.field(default_factory=dict)
    failures: dict[str, Failure] = msgspec.field(default_factory=dict)
