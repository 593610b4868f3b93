"""The run behind ``ccsight profile common --prove``: a fleet, and VMs with what it has in common."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations

from msgspec import structs

from ccsight.campaign import profiles
from ccsight.checks.migration import moves
from ccsight.checks.profile_common import LAUNCH, MOVE, crossed
from ccsight.checks.profiled import launched
from ccsight.errors import InfraError, ProbeError, UsageError
from ccsight.evidence.cases import Case, PlannedCase, unjudged
from ccsight.evidence.model import Capture
from ccsight.evidence.plan import MOVES, Depth
from ccsight.evidence.profile import CoreProfile, Profile, Shown
from ccsight.evidence.record import Hex
from ccsight.evidence.run import Run
from ccsight.evidence.views import Cell
from ccsight.kvm.behaviour import observed
from ccsight.kvm.fleet import Host
from ccsight.kvm.profile_rules import core_for
from ccsight.kvm.profiles import chosen, with_features
from ccsight.machines.silicon import Table


@dataclass(frozen=True)
class Member:
    """One of a fleet, as it was named: its hosts, the machine to boot for it, its profile if it has one."""

    hosts: tuple[Host, ...]
    machine: str
    profile: Profile | None = None


def machines_of(members: Sequence[Member], named: Sequence[str], table: Table) -> tuple[str, ...]:
    """Return the machines that a proof boots: of profiles those that are named, else where they are from.

    Raises UsageError for a ``silicon:`` machine that is named and has another core than every profile.
    """
    files = [member.profile for member in members if member.profile]
    if named and not files:
        raise UsageError(
            f"for which member is {named[0]}?", next_step="--on is for profiles; name a machine as a member"
        )
    for machine in named:
        refuse_strange(files, machine, table)
    known = [member.machine for member in members if not (member.profile and named)]
    return tuple(dict.fromkeys((*known, *named)))


def refuse_strange(files: Sequence[Profile], machine: str, table: Table) -> None:
    """Raise UsageError where a machine's cores are known to be those of no profile."""
    _require_one(files, lambda proof: profiles.refuse_other_silicon(proof, machine, table))


def _require_one(files: Sequence[Profile], ask: Callable[[profiles.Proof], object]) -> None:
    """Raise what all profiles say where none of them is of a machine."""
    errors = []
    for profile in files:
        try:
            ask(profiles.Proof(profile, profile.cores[0].name))
        except UsageError as error:
            errors.append(error)
    if errors and len(errors) == len(files):
        raise errors[0]


def require_known(run: Run, members: Sequence[Member]) -> None:
    """Raise UsageError where a machine, now that it was booted, turns out to be of no profile."""
    files = [member.profile for member in members if member.profile]
    rows = {member.machine for member in members if not member.profile}
    for capture in filter(None, map(run.capture, run.plan.cells)):
        if capture.cell.machine not in rows:
            _require_one(files, partial(_fits, capture))


def _fits(capture: Capture, proof: profiles.Proof) -> None:
    core_for(proof.profile, capture.machine.cpus, capture.cell.machine, proof.core)


def depth(shown: Shown, machines: Sequence[str]) -> Depth:
    """Return what a proof asks: VMs with these values, that go to every other kernel and machine."""
    values = chosen(shown) | {"ID_AA64MMFR2_EL1": with_features(shown, 0)}
    profile = {name: Hex(value) for name, value in values.items()}
    return structs.replace(MOVES, profile=profile, across=len(machines) > 1)


def prove(run: Run, shown: Shown) -> tuple[Case, ...]:
    """Return whether each cell takes and shows the values, and how a VM moves from each to each other one."""
    launches = [_launch(run, cell, shown) for cell in run.plan.cells]
    ways = permutations(run.plan.cells, 2)
    return (*launches, *(_move(run, source, destination) for source, destination in ways))


def _launch(run: Run, cell: Cell, shown: Shown) -> Case:
    try:
        capture = profiles.need(run, cell)
    except (InfraError, ProbeError) as error:
        return unjudged(PlannedCase(check=LAUNCH, cells=(cell.id,)), error.status, error.fact)
    found = launched(cell.id, _as_core(shown), capture.saved, observed(capture).name)
    return structs.replace(found, check=LAUNCH)


def _as_core(shown: Shown) -> CoreProfile:
    """Return the values as a core that no machine has: every guest shall read what KVM is told."""
    return CoreProfile("common", Hex(0), Hex(0), (), shown, shown)


def _move(run: Run, source: Cell, destination: Cell) -> Case:
    try:
        captures: tuple[Capture, Capture] = profiles.need(run, source), profiles.need(run, destination)
        found = moves(*captures)
    except (InfraError, ProbeError) as error:  # NotObserved is one of them
        return unjudged(PlannedCase(check=MOVE, cells=(source.id, destination.id)), error.status, error.fact)
    return crossed(source.id, destination.id, found)
