"""Saves VMs and restores them: the scripts, and the evidence that comes of them.

The guest remembers what it read at first, and goes on wherever its VM is restored.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ccsight.arm64.kvm_ids import of_reading
from ccsight.deadline import Deadline
from ccsight.errors import ProbeError
from ccsight.evidence.migrations import ARRIVED, KNOWN, SAVED, Left, Restored, Saved, Way
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Cell, Reading, Vantage, View, Write
from ccsight.probes import states
from ccsight.probes.outcome import GIVEN_BACK, Arrived, Got, Ran, Wrote
from ccsight.probes.runner import Probe
from ccsight.probes.script import Results, Script, Step
from ccsight.probes.stream import Line
from ccsight.probes.sweep import regs_readings

GUEST = "remember"
PROGRAM = "save"
VCPUS = 2


@dataclass(frozen=True)
class State:
    """A state to be restored: whose it is, how its VM was launched, and the file here."""

    source: Cell
    strategy: str
    path: Path


@dataclass(frozen=True)
class _Launch:
    """The steps of a VM that is launched, run and saved."""

    script: Script
    wrote: tuple[tuple[int, str, int, Step[Wrote]], ...]
    told: tuple[Step[Got], ...]
    ran: tuple[Step[Ran], ...]


def save(probe: Probe, strategy: str, chosen: Mapping[str, int], deadline: Deadline) -> Saved:
    """Launch a VM with the values that a VMM has chosen, by reading; let it run; save it.

    A value that KVM refuses is told in ``writes``, and the VM launched without it. Raises as
    ``Probe.script`` does, and EvidenceError for a state that is none.
    """
    launch = _launch(strategy, chosen)
    results = probe.script(f"save-{strategy}", launch.script, deadline)
    content = probe.host.fetch(probe.path(_file(strategy)), deadline, limit=states.STATE_MAX)
    probe.keep(_file(strategy), content)
    state = states.parse(content, f"{_file(strategy)} of {probe.place}")
    return Saved(
        strategy=strategy,
        file=_file(strategy),
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        ids=state.ids,
        writes=tuple(_write(*wrote, results) for wrote in launch.wrote),
        views=tuple(view for vcpu in range(VCPUS) for view in _saved_views(launch, vcpu, results)),
    )


def _file(strategy: str) -> str:
    return f"{strategy}.state"


def _launch(strategy: str, chosen: Mapping[str, int]) -> _Launch:
    script = Script()
    script.vm(VCPUS)
    for vcpu in range(VCPUS):
        script.init(vcpu)
    wrote = tuple(
        (vcpu, name, value, script.set(vcpu, of_reading(name), value))
        for vcpu in range(VCPUS)
        for name, value in chosen.items()
    )
    script.load(GUEST)
    told = tuple(script.get(vcpu) for vcpu in range(VCPUS))
    ran = []
    for vcpu in range(VCPUS):
        script.start(vcpu)
        ran.append(script.run(vcpu))
    script.save(_file(strategy))
    script.drop()
    return _Launch(script, wrote, told, tuple(ran))


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


def restore(probe: Probe, state: State, way: Way, deadline: Deadline) -> Restored:
    """Restore a state in one way; where it is ALL, let the guest go on.

    Raises as ``Probe.script`` does, and EvidenceError for a state that is none.
    """
    content = state.path.read_bytes()
    saved = states.parse(content, str(state.path))
    name = hashlib.sha256(content).hexdigest()
    probe.host.push(state.path, probe.path(f"{name}.state"), deadline, mode=0o600)
    script = Script()
    script.vm(VCPUS)
    for vcpu in range(VCPUS):
        script.init(vcpu)
    restored = script.restore(f"{name}.state", way)
    script.expect(GUEST)
    ran = [script.run(vcpu) for vcpu in range(VCPUS)] if way is Way.ALL else []
    script.drop()
    results = probe.script(f"restore-{state.source.id}-{state.strategy}-{way}", script, deadline)
    return Restored(
        source=state.source,
        strategy=state.strategy,
        sha256=name,
        way=way,
        left=_left(results[restored], saved),
        views=tuple(view for vcpu, step in enumerate(ran) for view in _arrived_views(results[step], vcpu)),
    )


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
