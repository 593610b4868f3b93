"""Restores VMs that were saved, in the ways of VMMs: the script, and the evidence that comes of it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import EvidenceError, InfraError
from ccsight.evidence.migrations import ARRIVED, KNOWN, Left, Restored, Way
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Cell, Vantage, View
from ccsight.probes import states
from ccsight.probes.outcome import Arrived, Listed, Ran
from ccsight.probes.runner import Probe
from ccsight.probes.script import Script, Step
from ccsight.probes.stream import Line
from ccsight.probes.sweep import regs_readings
from ccsight.probes.vms import (
    GUEST,
    TYPE,
    VCPUS,
    WITH_PMU,
    Capability,
    Gifts,
    given_of,
    make,
    possible,
    require_given_back,
    view_of,
)


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


def restore(
    probe: Probe, state: State, targets: Iterable[Target], deadline: Deadline
) -> tuple[Restored, ...]:
    """Restore a state in several ways and places, each into a VM of its own.

    Where the way is ALL the guest goes on.

    Raises as ``Probe.script`` does, and EvidenceError for a state that is none.
    """
    saved = _read(state)
    made_of = _possible(probe, state, saved, deadline)
    file = f"{state.sha256}.state"
    probe.host.push(state.path, probe.path(file), deadline, mode=0o600)
    script = Script()
    asked = [(target, _arrival(script, target, file, made_of)) for target in targets]
    results = probe.script(f"restore-{state.source.id}-{state.strategy}", script, deadline)
    return tuple(
        Restored(
            source=state.source,
            strategy=state.strategy,
            sha256=state.sha256,
            cpu=target.cpu,
            way=target.way,
            given=given_of(arrival.given, results),
            listed=len(results[arrival.listed].ids),
            left=_left(results[arrival.restored], saved),
            views=tuple(
                view for vcpu, step in enumerate(arrival.ran) for view in _arrived_views(results[step], vcpu)
            ),
        )
        for target, arrival in asked
    )


def _read(state: State) -> states.State:
    """Return what is in a state's file. Raises EvidenceError for one that is none, or another."""
    content = state.path.read_bytes()
    saved = states.parse(content, str(state.path))
    digest = hashlib.sha256(content).hexdigest()
    if digest != state.sha256:
        raise EvidenceError(
            f"{state.path} is another state than was saved", evidence=f"SHA-256 {digest[:16]}…"
        )
    return saved


def _possible(probe: Probe, state: State, saved: states.State, deadline: Deadline) -> states.Type:
    """Return of what type the VM is made that takes a state: the state's own, where KVM can."""
    made_of = possible(probe, deadline) if saved.type == WITH_PMU else TYPE
    if saved.type == WITH_PMU != made_of:
        raise InfraError(
            f"the VM {state.strategy} of {state.source.title} has a PMU, and KVM has none here",
            evidence="KVM_CHECK_EXTENSION says 0 of KVM_CAP_ARM_PMU_V3",
            next_step="build this kernel with CONFIG_ARM_PMU: no VMM can make the VM without",
        )
    states.require(saved.type, made_of, str(state.path))
    return made_of


@dataclass(frozen=True)
class _Arrival:
    """The steps of a state that is restored."""

    given: Gifts
    listed: Step[Listed]
    restored: Step[Arrived]
    ran: tuple[Step[Ran], ...]


def _arrival(script: Script, target: Target, file: str, made_of: states.Type) -> _Arrival:
    given = make(script, target.cpu, target.capabilities, made_of)
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
    require_given_back(ran, vcpu)
    el1, el0 = regs_readings([_as_regs(line) for line in ran.said], f"{GUEST} on vCPU {vcpu}")
    return (
        view_of(Vantage.GUEST, vcpu, KNOWN, el1),
        view_of(Vantage.GUEST_EL0, vcpu, KNOWN, el0),
        view_of(Vantage.GUEST, vcpu, ARRIVED, ran.el1),
        view_of(Vantage.GUEST_EL0, vcpu, ARRIVED, ran.el0),
    )


def _as_regs(line: Line) -> Line:
    if line.kind != "known":
        line.refuse("is not about what the guest remembers")
    return Line(line.source, "regs", line.number, line.values)
