"""Experiments on KVM as text: the steps that ``ccprobe script`` takes one after the other, and their results.

A step is one line; guests/README.md has them. So a new experiment is a module that writes a script and
reads its results, and no new C:

    script = Script()
    script.vm(vcpus=2)
    script.init(0)
    before = script.get(0)
    …
    results = probe.script("name", script, deadline)
    results[before].readings["CLIDR_EL1"]
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar, cast

from ccsight.evidence.migrations import Way
from ccsight.probes import outcome
from ccsight.probes.outcome import Block, Checked, Did, Given, Got, GotId, Initialised, Listed, Ran, Wrote
from ccsight.probes.stream import Line, Stream, refuse
from ccsight.probes.views import require_kvm

T = TypeVar("T")

#: How many vCPUs a VM may have, and how many steps a script; there are two slots for VMs.
VCPUS_MAX = 8
STEPS_MAX = 16384

#: Features for KVM_ARM_VCPU_INIT (Linux arch/arm64/include/uapi/asm/kvm.h), as bits.
POWER_OFF, EL1_32BIT, PSCI_0_2, PMU_V3, HAS_EL2 = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 7


@dataclass(frozen=True)
class Step(Generic[T]):
    """A step of a script, by its number from 1; the key to its result, which is a ``T``."""

    number: int
    words: tuple[str, ...]
    read: Callable[[Block], T]
    file: str = ""

    def text(self, prefix: str) -> str:
        """Return the step as ccprobe reads it; files lie under their names behind ``prefix``."""
        return " ".join((*self.words, prefix + self.file) if self.file else self.words)


@dataclass(frozen=True)
class Results:
    """What came of a script: ``results[step]`` for each step that the script's methods have returned."""

    all: tuple[object, ...]

    def __getitem__(self, step: Step[T]) -> T:
        return cast("T", self.all[step.number - 1])


@dataclass
class Script:
    """Steps, one for each call. Everything is in VM 0 unless another ``slot`` is given."""

    steps: list[Step[Any]] = field(default_factory=list)
    _guests: dict[int, str] = field(default_factory=dict)  #: which guest was loaded, by slot

    def text(self, prefix: str = "") -> str:
        """Return the script as ccprobe reads it; files lie under their names behind ``prefix``."""
        return "".join(f"{step.text(prefix)}\n" for step in self.steps)

    @property
    def images(self) -> tuple[str, ...]:
        """The image files that are needed, each once."""
        return tuple(dict.fromkeys(step.file for step in self.steps if step.words[0] == "load"))

    def vm(self, vcpus: int, slot: int = 0) -> Step[Did]:
        """Create a VM with memory and so many vCPUs, none of them initialised."""
        return self._add(outcome.did, "vm", slot, vcpus)

    def late_vcpu(self, slot: int = 0) -> Step[Did]:
        """Create one more vCPU, with the next number; it is not initialised either."""
        return self._add(outcome.did, "vcpu", slot)

    def drop(self, slot: int = 0) -> Step[Did]:
        """Destroy the VM; another one may be created in its place."""
        return self._add(outcome.did, "drop", slot)

    def init(self, vcpu: int, *, off: bool = False, features: int = 0, slot: int = 0) -> Step[Initialised]:
        """Initialise, or reset, a vCPU of the preferred target with PSCI 0.2 and ``features``.

        With ``off`` it starts powered off, as the secondary vCPUs of every VMM do. A vCPU that may run is
        one that was initialised without ``off``, or for which another one has called CPU_ON.
        """
        mask = features | PSCI_0_2 | (POWER_OFF if off else 0)
        return self._add(outcome.initialised, "init", slot, vcpu, f"{mask:#x}")

    def check(self, capability: int, slot: int = 0) -> Step[Checked]:
        """Ask KVM_CHECK_EXTENSION of the VM about a capability."""
        return self._add(outcome.checked, "check", slot, capability)

    def give(self, capability: int, argument: int = 0, slot: int = 0) -> Step[Given]:
        """Give the VM a capability, with KVM_ENABLE_CAP: some go to a VM without vCPUs only."""
        return self._add(outcome.given, "cap", slot, capability, f"{argument:#x}")

    def give_vcpu(self, vcpu: int, capability: int, argument: int = 0, slot: int = 0) -> Step[Given]:
        """Give one vCPU a capability, with KVM_ENABLE_CAP."""
        return self._add(outcome.given, "vcpucap", slot, vcpu, capability, f"{argument:#x}")

    def gic(self, slot: int = 0) -> Step[Did]:
        """Give the VM a GICv3 for the vCPUs that it has; KVM runs none with EL2 without one."""
        return self._add(outcome.did, "gic", slot)

    def pmu(self, slot: int = 0) -> Step[Did]:
        """Start the PMU of all vCPUs, behind ``gic``: each was initialised with PMU_V3."""
        return self._add(outcome.did, "pmu", slot)

    def load(self, guest: str, slot: int = 0) -> Step[Did]:
        """Put a bare guest into the VM's memory: ``sweep``."""
        self._guests[slot] = guest
        return self._add(outcome.did, "load", slot, file=f"{guest}.img")

    def expect(self, guest: str, slot: int = 0) -> None:
        """Say which bare guest a state that was restored holds: its runs are read as that guest's."""
        self._guests[slot] = guest

    def start(self, vcpu: int, slot: int = 0) -> Step[Did]:
        """Let a vCPU begin at the guest's entry, and power it on."""
        return self._add(outcome.did, "start", slot, vcpu)

    def get(self, vcpu: int, slot: int = 0) -> Step[Got]:
        """Ask KVM for every register of ``READINGS``."""
        return self._add(outcome.got, "get", slot, vcpu)

    def get_id(self, vcpu: int, kvm_id: int, slot: int = 0) -> Step[GotId]:
        """Ask KVM for a register by its id, whatever it is."""
        return self._add(outcome.got_id, "getid", slot, vcpu, f"{kvm_id:#x}")

    def list(self, vcpu: int, slot: int = 0) -> Step[Listed]:
        """Ask KVM which registers there are."""
        return self._add(partial(outcome.listed, vcpu=vcpu), "list", slot, vcpu)

    def set(self, vcpu: int, kvm_id: int, value: int, slot: int = 0) -> Step[Wrote]:
        """Write a register by its id, whatever it is; KVM takes as many bytes of ``value`` as the id says."""
        return self._add(outcome.wrote, "set", slot, vcpu, f"{kvm_id:#x}", f"{value:#x}")

    def set_bad_pointer(self, vcpu: int, kvm_id: int, slot: int = 0) -> Step[Wrote]:
        """Tell KVM to take the value from an address where nothing is."""
        return self._add(outcome.wrote, "setbad", slot, vcpu, f"{kvm_id:#x}")

    def save(self, file: str, slot: int = 0) -> Step[Did]:
        """Save the VM, its registers and its memory, to a file beside the probe."""
        return self._add(outcome.did, "save", slot, file=file)

    def restore(self, file: str, way: Way, slot: int = 0) -> Step[outcome.Arrived]:
        """Restore a state into a VM of as many vCPUs, all initialised; see ``Way`` for what is set how."""
        return self._add(outcome.arrived, "restore", slot, list(Way).index(way), file=file)

    def pin(self, cpu: int) -> Step[Did]:
        """Take the thread to a physical CPU."""
        return self._add(outcome.did, "pin", cpu)

    def unpin(self) -> Step[Did]:
        """Let the thread go where it could before the script."""
        return self._add(outcome.did, "unpin")

    def run(self, vcpu: int, command: int = 0, slot: int = 0) -> Step[Ran]:
        """Run a vCPU until it ends in one of the ways of ``outcome``; the guest may ask for ``command``."""
        read = partial(outcome.ran, vcpu=vcpu, program=self._guests.get(slot, ""))
        return self._add(read, "run", slot, vcpu, f"{command:#x}")

    def _add(self, read: Callable[[Block], T], what: str, *arguments: int | str, file: str = "") -> Step[T]:
        step = Step(len(self.steps) + 1, (what, *map(str, arguments)), read, file)
        self.steps.append(step)
        return step


def results(stream: Stream, script: Script) -> Results:
    """Return what a stream of ``ccprobe script`` says of each step of the script that it was given.

    Raises NoKvm when /dev/kvm could not be opened, ProbeError when anything is missing or odd.
    """
    stream.expect("ccprobe-script")
    stream.raise_errors()
    require_kvm(stream)
    if stream.lines[0].kind != "kvm":
        stream.lines[0].refuse("stands before that about KVM")
    found: list[object] = []
    before: list[Line] = []
    for line in stream.lines[1:]:
        if line.kind != "step":
            before.append(line)
            continue
        if len(found) == len(script.steps):
            line.refuse("is about a step that the script does not have")
        step = script.steps[len(found)]
        if (line.values.get("step"), line.values.get("what")) != (str(step.number), step.words[0]):
            line.refuse(f"is not about step {step.number}, {step.words[0]}")
        found.append(step.read(Block(before, line)))
        before = []
    if before or len(found) != len(script.steps):
        refuse(stream.source, f"has {len(found)} results of {len(script.steps)} steps")
    return Results(tuple(found))
