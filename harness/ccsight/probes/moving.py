"""Saves VMs and restores them: the scripts, and the evidence that comes of them.

The guest remembers what it read at first, and goes on wherever its VM is restored.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ccsight.arm64.kvm_ids import of_reading
from ccsight.deadline import Deadline
from ccsight.errors import EvidenceError, InfraError, ProbeError
from ccsight.evidence.migrations import ARRIVED, KNOWN, SAVED, Given, Left, Restored, Saved, Way
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Cell, Reading, Vantage, View, Write
from ccsight.probes import outcome, states
from ccsight.probes.outcome import GIVEN_BACK, Arrived, Got, Listed, Ran, Wrote
from ccsight.probes.runner import Probe
from ccsight.probes.script import PMU_V3, PSCI_0_2, Results, Script, Step
from ccsight.probes.stream import Line
from ccsight.probes.sweep import regs_readings

GUEST = "remember"
PROGRAM = "save"
VCPUS = 2
#: What our VMs are made of, wherever they are saved and restored.
TYPE = states.Type(features=(PSCI_0_2,) * VCPUS, gic=3, guest=GUEST)
#: ... and with a PMU, which QEMU gives to its VMs, where KVM has one, unless it is told not to.
WITH_PMU = replace(TYPE, features=(PSCI_0_2 | PMU_V3,) * VCPUS)
#: KVM_CAP_ARM_PMU_V3 (Linux include/uapi/linux/kvm.h).
_CAP_PMU = 126


@dataclass(frozen=True)
class Capability:
    """What a VMM enables by KVM_ENABLE_CAP, of the VM before it has vCPUs, or of each vCPU."""

    number: int
    argument: int = 0
    each_vcpu: bool = False


def capabilities(number: int) -> tuple[Capability, ...]:
    """Return a capability of which nobody knows whether the VM or each vCPU has it: KVM refuses the other."""
    return Capability(number), Capability(number, each_vcpu=True)


@dataclass(frozen=True)
class Launch:
    """How a VM is launched: on which physical CPU, with which values, by reading, and capabilities.

    ``made_of`` is its type, TYPE or WITH_PMU.
    """

    strategy: str
    cpu: int
    chosen: Mapping[str, int] = field(default_factory=dict)
    capabilities: tuple[Capability, ...] = ()
    made_of: states.Type = TYPE


@dataclass(frozen=True)
class State:
    """A state to be restored: whose it is, how its VM was launched, and the file here."""

    source: Cell
    strategy: str
    sha256: str
    path: Path


@dataclass(frozen=True)
class Target:
    """How a state is restored: the way, the physical CPU, and what its VM is given before."""

    way: Way
    cpu: int
    capabilities: tuple[Capability, ...] = ()


_Gifts = tuple[tuple[Capability, int | None, Step[outcome.Given]], ...]


@dataclass(frozen=True)
class _Launch:
    """The steps of a VM that is launched, run and saved."""

    script: Script
    given: _Gifts
    wrote: tuple[tuple[int, str, int, Step[Wrote]], ...]
    told: tuple[Step[Got], ...]
    ran: tuple[Step[Ran], ...]


def save(probe: Probe, asked: Launch, deadline: Deadline) -> Saved:
    """Launch a VM, let it run, and save it.

    What KVM refuses is told in ``writes`` and ``given``, and the VM launched without it. Raises as
    ``Probe.script`` does, and EvidenceError for a state that is none.
    """
    strategy = asked.strategy
    launch = _launch(asked)
    results = probe.script(f"save-{strategy}", launch.script, deadline)
    content = probe.host.fetch(probe.path(_file(strategy)), deadline, limit=states.STATE_MAX)
    probe.keep(_file(strategy), content)
    where = f"{_file(strategy)} of {probe.place}"
    state = states.parse(content, where)
    states.require(state.type, asked.made_of, where)
    return Saved(
        strategy=strategy,
        file=_file(strategy),
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        cpu=asked.cpu,
        ids=state.ids,
        given=_given(launch.given, results),
        writes=tuple(_write(*wrote, results) for wrote in launch.wrote),
        views=tuple(view for vcpu in range(VCPUS) for view in _saved_views(launch, vcpu, results)),
    )


def _file(strategy: str) -> str:
    return f"{strategy}.state"


def possible(probe: Probe, deadline: Deadline) -> states.Type:
    """Return what VMs are made of here: with a PMU where KVM has one. Raises as ``Probe.script`` does."""
    script = Script()
    script.vm(0)
    asked = script.check(_CAP_PMU)
    script.drop()
    says = probe.script("pmu", script, deadline)[asked].says
    return WITH_PMU if says.value else TYPE


def _vm(script: Script, cpu: int, capabilities: tuple[Capability, ...], made_of: states.Type) -> _Gifts:
    """Make a VM on a physical CPU as every VMM does, and enable what there is."""
    script.pin(cpu)
    script.vm(0)
    given: list[tuple[Capability, int | None, Step[outcome.Given]]] = [
        (each, None, script.give(each.number, each.argument)) for each in capabilities if not each.each_vcpu
    ]
    for vcpu in range(VCPUS):
        script.late_vcpu()
        script.init(vcpu, features=made_of.features[vcpu])
        given += [
            (each, vcpu, script.give_vcpu(vcpu, each.number, each.argument))
            for each in capabilities
            if each.each_vcpu
        ]
    script.gic()
    if made_of == WITH_PMU:
        script.pmu()
    return tuple(given)


def _given(given: _Gifts, results: Results) -> tuple[Given, ...]:
    return tuple(
        Given(
            number=each.number,
            argument=Hex(each.argument),
            vcpu=vcpu,
            problem=results[step].problem,
        )
        for each, vcpu, step in given
    )


def _launch(asked: Launch) -> _Launch:
    script = Script()
    given = _vm(script, asked.cpu, asked.capabilities, asked.made_of)
    wrote = tuple(
        (vcpu, name, value, script.set(vcpu, of_reading(name), value))
        for vcpu in range(VCPUS)
        for name, value in asked.chosen.items()
    )
    script.load(GUEST)
    told = tuple(script.get(vcpu) for vcpu in range(VCPUS))
    ran = []
    for vcpu in range(VCPUS):
        script.start(vcpu)
        ran.append(script.run(vcpu))
    script.save(_file(asked.strategy))
    script.drop()
    return _Launch(script, given, wrote, told, tuple(ran))


def _write(vcpu: int, name: str, value: int, step: Step[Wrote], results: Results) -> Write:
    wrote = results[step]
    return Write(
        vcpu=vcpu,
        program=PROGRAM,
        phase=SAVED,
        name=name,
        value=Hex(value),
        problem=wrote.problem,
        after=wrote.after,
        moved=wrote.moved,
    )


def _saved_views(launch: _Launch, vcpu: int, results: Results) -> tuple[View, ...]:
    ran = results[launch.ran[vcpu]]
    _require_given_back(ran, vcpu)
    return (
        _view(Vantage.USERSPACE, vcpu, SAVED, results[launch.told[vcpu]].readings),
        _view(Vantage.GUEST, vcpu, SAVED, ran.el1),
        _view(Vantage.GUEST_EL0, vcpu, SAVED, ran.el0),
    )


def _require_given_back(ran: Ran, vcpu: int) -> None:
    if ran.end != GIVEN_BACK:
        raise ProbeError(f"the guest {GUEST} on vCPU {vcpu} does not give control back: {ran.end}")


def _view(vantage: Vantage, vcpu: int, phase: str, readings: dict[str, Reading]) -> View:
    return View(vantage=vantage, vcpu=vcpu, program=PROGRAM, phase=phase, readings=readings)


def restore(
    probe: Probe, state: State, targets: Iterable[Target], deadline: Deadline
) -> tuple[Restored, ...]:
    """Restore a state in several ways and places, each into a VM of its own.

    Where the way is ALL the guest goes on.

    Raises as ``Probe.script`` does, and EvidenceError for a state that is none.
    """
    content = state.path.read_bytes()
    saved = states.parse(content, str(state.path))
    digest = hashlib.sha256(content).hexdigest()
    if digest != state.sha256:
        raise EvidenceError(
            f"{state.path} is another state than was saved", evidence=f"SHA-256 {digest[:16]}…"
        )
    made_of = possible(probe, deadline) if saved.type == WITH_PMU else TYPE
    if saved.type == WITH_PMU != made_of:
        raise InfraError(
            f"the VM {state.strategy} of {state.source.title} has a PMU, and KVM has none here",
            evidence="KVM_CHECK_EXTENSION says 0 of KVM_CAP_ARM_PMU_V3",
            next_step="build this kernel with CONFIG_ARM_PMU: no VMM can make the VM without",
        )
    states.require(saved.type, made_of, str(state.path))
    probe.host.push(state.path, probe.path(f"{digest}.state"), deadline, mode=0o600)
    script = Script()
    asked = [(target, _arrival(script, target, f"{digest}.state", made_of)) for target in targets]
    results = probe.script(f"restore-{state.source.id}-{state.strategy}", script, deadline)
    return tuple(
        Restored(
            source=state.source,
            strategy=state.strategy,
            sha256=digest,
            cpu=target.cpu,
            way=target.way,
            given=_given(arrival.given, results),
            listed=len(results[arrival.listed].ids),
            left=_left(results[arrival.restored], saved),
            views=tuple(
                view for vcpu, step in enumerate(arrival.ran) for view in _arrived_views(results[step], vcpu)
            ),
        )
        for target, arrival in asked
    )


@dataclass(frozen=True)
class _Arrival:
    """The steps of a state that is restored."""

    given: _Gifts
    listed: Step[Listed]
    restored: Step[Arrived]
    ran: tuple[Step[Ran], ...]


def _arrival(script: Script, target: Target, file: str, made_of: states.Type) -> _Arrival:
    given = _vm(script, target.cpu, target.capabilities, made_of)
    listed = script.list(0)
    restored = script.restore(file, target.way)
    script.expect(GUEST)
    ran = tuple(script.run(vcpu) for vcpu in range(VCPUS)) if target.way is Way.ALL else ()
    script.drop()
    return _Arrival(given, listed, restored, ran)


def _left(arrived: Arrived, saved: states.State) -> tuple[Left, ...]:
    places = arrived.unlisted | arrived.refused.keys() | arrived.differs.keys()
    return tuple(
        Left(
            vcpu=vcpu,
            kvm_id=Hex(kvm_id),
            saved=saved.vcpus[vcpu][kvm_id],
            problem=arrived.refused.get((vcpu, kvm_id), ""),
            unlisted=(vcpu, kvm_id) in arrived.unlisted,
            now=arrived.differs.get((vcpu, kvm_id)),
        )
        for vcpu, kvm_id in sorted(places)
    )


def _arrived_views(ran: Ran, vcpu: int) -> tuple[View, ...]:
    _require_given_back(ran, vcpu)
    el1, el0 = regs_readings([_as_regs(line) for line in ran.said], f"{GUEST} on vCPU {vcpu}")
    return (
        _view(Vantage.GUEST, vcpu, KNOWN, el1),
        _view(Vantage.GUEST_EL0, vcpu, KNOWN, el0),
        _view(Vantage.GUEST, vcpu, ARRIVED, ran.el1),
        _view(Vantage.GUEST_EL0, vcpu, ARRIVED, ran.el0),
    )


def _as_regs(line: Line) -> Line:
    if line.kind != "known":
        line.refuse("is not about what the guest remembers")
    return Line(line.source, "regs", line.number, line.values)
