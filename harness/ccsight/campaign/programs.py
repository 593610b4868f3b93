"""The programs of a cell, one row each, in the order in which they run. A new one is a row here.

One that fails loses its own evidence, and that of those that need it; all else stays.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import CcsightError, HostLost, NoKvm, ProbeError
from ccsight.evidence.failure import Failure
from ccsight.evidence.migrations import AS_LAUNCHED, NATIVE_CAP, PROFILED, Way
from ccsight.evidence.model import Told
from ccsight.evidence.plan import Depth
from ccsight.evidence.views import Cell
from ccsight.kernels.model import Kernel
from ccsight.kvm.chosen import carried_over, shown_to
from ccsight.machines.model import Booted
from ccsight.probes import features, guests, life, linux, restoring, saving, shrink, vms, writing
from ccsight.probes.linux_stream import host_cpus
from ccsight.probes.restoring import State, Target
from ccsight.probes.runner import Probe
from ccsight.probes.saving import Launch
from ccsight.probes.vms import capabilities


@dataclass(frozen=True)
class Moves:
    """Which VMs are restored in a boot, and the values that a VMM gives to those that are saved.

    ``profile`` are the first kernel's of this machine, by reading; None where this is the first. ``arriving``
    are the VMs of other kernels; this kernel's own are saved as ``cell``'s into ``folder``. ``cpus`` has a
    physical CPU of each kind; VMs are saved on the first, and restored on all.
    """

    cell: Cell
    folder: Path
    cpus: tuple[int, ...]
    profile: Mapping[str, int] | None = None
    arriving: tuple[State, ...] = ()


@dataclass(frozen=True)
class Asked:
    """What a program may use: the booted machine, the probe on it, and what was observed before.

    ``seed`` is where random values come from, ``depth`` what else is asked, ``moves`` where VMs come from and
    go to.
    """

    kernel: Kernel
    booted: Booted
    probe: Probe
    seed: str
    depth: Depth
    moves: Moves
    before: Told = field(default_factory=Told)


@dataclass(frozen=True)
class Program:
    """A stage of a cell: what asks, for how many seconds at most, and without which others it cannot.

    ``applies`` tells where there is anything to ask.
    """

    name: str
    ask: Callable[[Asked, Deadline], Told]
    needs: tuple[str, ...] = ()
    seconds: float = 60.0
    applies: Callable[[Asked], bool] = lambda asked: True


def _view(asked: Asked, deadline: Deadline) -> Told:
    observed = asked.probe.observe(deadline)
    return Told(views=observed.views, register_lists=observed.register_lists)


def _sweep(asked: Asked, deadline: Deadline) -> Told:
    swept = asked.probe.sweep(deadline)
    return Told(views=swept.views, writes=swept.writes)


def _writes(asked: Asked, deadline: Deadline) -> Told:
    return Told(
        writes=writing.observe(asked.probe, asked.before.views, asked.seed, asked.depth.fuzz, deadline)
    )


def _shrink(asked: Asked, deadline: Deadline) -> Told:
    return Told(writes=shrink.observe(asked.probe, asked.before, deadline))


def _life(asked: Asked, deadline: Deadline) -> Told:
    lived = life.observe(asked.probe, _first_cpu(asked), deadline)
    return Told(views=lived.views, writes=lived.writes)


def _first_cpu(asked: Asked) -> int:
    return next(view.cpu for view in asked.before.views if view.cpu is not None)


def _features(asked: Asked, deadline: Deadline) -> Told:
    gave = features.observe(asked.probe, _first_cpu(asked), deadline)
    return Told(views=gave.views, lists_given=gave.lists)


def _guests(asked: Asked, deadline: Deadline) -> Told:
    return Told(views=guests.observe(asked.probe, deadline))


def _linux(asked: Asked, deadline: Deadline) -> Told:
    return Told(
        linux=linux.observe(
            asked.probe, asked.kernel.image, asked.before.views, deadline, at=asked.booted.image
        )
    )


def _save(asked: Asked, deadline: Deadline) -> Told:
    """Save a VM that KVM gave all its values, and one that a VMM gave those of the machine's first kernel."""
    first, *_ = asked.moves.cpus
    made_of = vms.possible(asked.probe, deadline) if asked.depth.pmu else vms.TYPE
    plain = saving.save(asked.probe, Launch(AS_LAUNCHED, first, made_of=made_of), deadline)
    own = shown_to([plain])
    launches = [Launch(PROFILED, first, carried_over(asked.moves.profile or own, own), made_of=made_of)]
    if asked.depth.native_cap:
        gifts = capabilities(asked.depth.native_cap)
        launches.append(Launch(NATIVE_CAP, first, capabilities=gifts, made_of=made_of))
    return Told(saved=(plain, *(saving.save(asked.probe, launch, deadline) for launch in launches)))


def _restore(asked: Asked, deadline: Deadline) -> Told:
    """Restore this very kernel's VMs, and those of other kernels that are there already."""
    cell, folder, (first, *_) = asked.moves.cell, asked.moves.folder, asked.moves.cpus
    own = [State(cell, saved.strategy, saved.sha256, folder / saved.file) for saved in asked.before.saved]
    depth = asked.depth
    back = [(state, [target(state, Way.ALL, first, depth)]) for state in own]
    others = [(state, every(state, asked.moves.cpus, depth)) for state in asked.moves.arriving]
    return restore_all(asked.probe, [*back, *others], deadline)


def every(state: State, cpus: Iterable[int], depth: Depth) -> list[Target]:
    """Return each way of restoring a state on each of these CPUs."""
    return [target(state, way, cpu, depth) for cpu in cpus for way in Way]


def target(state: State, way: Way, cpu: int, depth: Depth) -> Target:
    """Return how a state is restored: a VMM enables at the destination what it has enabled at the source."""
    gifts = capabilities(depth.native_cap) if state.strategy == NATIVE_CAP else ()
    return Target(way, cpu, gifts)


def restore_all(probe: Probe, states: Iterable[tuple[State, Sequence[Target]]], deadline: Deadline) -> Told:
    """Restore states, each in some ways and places; one that fails loses only its own evidence."""
    told = Told()
    for state, targets in states:
        try:
            told = told.and_told(Told(restored=restoring.restore(probe, state, targets, deadline)))
        except HostLost:
            raise
        except CcsightError as error:
            name = f"restore {state.source.title} {state.strategy}"
            told = told.and_told(Told(failures={name: Failure.of(error)}))
    return told


def _sysfs(asked: Asked, deadline: Deadline) -> Told:
    return Told(sysfs=host_cpus(asked.probe.caches(deadline)))


def _hardware(asked: Asked, deadline: Deadline) -> Told:
    """Return what each physical CPU says in the host's kernel."""
    if asked.kernel.hardware_module is None:
        raise AssertionError("asked only where there is a module")
    views = asked.probe.hardware(asked.kernel.hardware_module, deadline)
    if len(views) != asked.booted.cpus:
        raise ProbeError(
            f"our kernel module saw {len(views)} CPUs instead of {asked.booted.cpus}",
            evidence=f"CPUs {', '.join(str(view.cpu) for view in views)}",
            next_step="repeat the capture: a CPU may have gone off-line meanwhile",
        )
    return Told(views=views)


def _takes_module(asked: Asked) -> bool:
    return asked.kernel.hardware_module is not None and asked.booted.takes_modules


PROGRAMS = (
    Program("view", _view),
    Program("sweep", _sweep),
    # Under emulation a vCPU with EL2 takes seconds to be made.
    Program("features", _features, needs=("sweep",), seconds=120.0),
    Program("writes", _writes, needs=("sweep",), seconds=120.0),
    # Only for a kernel that deviates; it costs nothing else.
    Program("shrink", _shrink, applies=lambda asked: shrink.is_due(asked.before)),
    Program("life", _life, needs=("sweep",)),
    Program("guests", _guests),
    Program("sysfs", _sysfs),
    Program("save", _save, needs=("view",)),
    # As many VMs as there are cells: what ends it is the cell's own clock.
    Program("restore", _restore, seconds=3600.0),
    Program("linux", _linux, needs=("view",), seconds=300.0),
    # Last: a splat of the host's kernel in our own module must not cost anything else.
    Program("hardware", _hardware, applies=_takes_module),
)

#: Times a stage and says that it has begun: ``with stage("view"): ...``.
Stage = Callable[[str], AbstractContextManager[None]]


def observe(asked: Asked, stage: Stage, deadline: Deadline) -> Told:
    """Return what all programs have to say, and why some have nothing.

    Raises what the first one raises when none has observed anything.
    """
    lost: CcsightError | None = None
    first: CcsightError | None = None
    for program in PROGRAMS:
        if not asked.depth.runs(program.name) or not program.applies(asked):
            continue
        try:
            _refuse_in_vain(program, asked.before, lost)
            with stage(program.name):
                told = program.ask(asked, deadline.within(program.seconds))
        except CcsightError as error:
            lost = error if isinstance(error, HostLost | NoKvm) else lost
            first = first or error
            told = Told(failures={program.name: Failure.of(error)})
        asked = replace(asked, before=asked.before.and_told(told))
    if first and not asked.before.views:
        raise first
    return asked.before


def _refuse_in_vain(program: Program, before: Told, lost: CcsightError | None) -> None:
    """Raise for a program that cannot observe anything now: nobody waits for a machine that is gone."""
    if lost:
        gone = "machine" if isinstance(lost, HostLost) else "machine's KVM"
        raise type(lost)(f"{program.name} was not asked: the {gone} was lost before", evidence=lost.fact)
    for need in program.needs:
        if need in before.failures:
            raise ProbeError(
                f"{program.name} was not asked: it needs what {need} sees",
                evidence=before.failures[need].fact,
            )
