"""Saves VMs: the script, and the evidence that comes of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from ccsight.arm64.kvm_ids import of_reading
from ccsight.deadline import Deadline
from ccsight.evidence.migrations import SAVED, Saved
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Vantage, View, Write
from ccsight.probes import states
from ccsight.probes.outcome import Got, Ran, Wrote
from ccsight.probes.runner import Probe
from ccsight.probes.script import Results, Script, Step
from ccsight.probes.vms import (
    GUEST,
    PROGRAM,
    TYPE,
    VCPUS,
    Capability,
    Gifts,
    given_of,
    make,
    require_given_back,
    view_of,
)


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
class _Launch:
    """The steps of a VM that is launched, run and saved."""

    script: Script
    given: Gifts
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
        given=given_of(launch.given, results),
        writes=tuple(_write(*wrote, results) for wrote in launch.wrote),
        views=tuple(view for vcpu in range(VCPUS) for view in _saved_views(launch, vcpu, results)),
    )


def _file(strategy: str) -> str:
    return f"{strategy}.state"


def _launch(asked: Launch) -> _Launch:
    script = Script()
    given = make(script, asked.cpu, asked.capabilities, asked.made_of)
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
    require_given_back(ran, vcpu)
    return (
        view_of(Vantage.USERSPACE, vcpu, SAVED, results[launch.told[vcpu]].readings),
        view_of(Vantage.GUEST, vcpu, SAVED, ran.el1),
        view_of(Vantage.GUEST_EL0, vcpu, SAVED, ran.el0),
    )
