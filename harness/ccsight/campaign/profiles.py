"""The runs behind ``ccsight profile``: kernels are booted, their captures become profiles and proofs."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from ccsight.arm64.caches import Side
from ccsight.arm64.parts import core_name
from ccsight.campaign.compare import Request, publish, start
from ccsight.campaign.execute import execute
from ccsight.campaign.planning import cells_of
from ccsight.checks.migration import moves
from ccsight.checks.profiled import LAUNCH, MOVE, launched, moved
from ccsight.errors import InfraError, Interrupted, ProbeError, UsageError
from ccsight.evidence import linux
from ccsight.evidence.cases import Case, PlannedCase, unjudged
from ccsight.evidence.model import Capture, Cpu
from ccsight.evidence.profile import Profile, Shown
from ccsight.evidence.record import Hex
from ccsight.evidence.run import Run
from ccsight.evidence.views import Cell
from ccsight.kernels import spec as kernel_specs
from ccsight.kvm.behaviour import observed
from ccsight.kvm.fleet import Host
from ccsight.kvm.guess import guess
from ccsight.kvm.guess_seen import seen_in
from ccsight.kvm.guess_table import row_for
from ccsight.kvm.guess_trial import Score, Trial, scores, trials
from ccsight.kvm.guesses import Guess, Leaf
from ccsight.kvm.profile_rules import core_for
from ccsight.kvm.profiles import made_of
from ccsight.kvm.sanitised import sanitised_ctr
from ccsight.machines import registry
from ccsight.machines.silicon import Table
from ccsight.report import console, terminal
from ccsight.status import Status

#: How Linux calls the sides of a cache.
_SIDES = {"Data": Side.DATA, "Instruction": Side.INSTRUCTION, "Unified": Side.UNIFIED}


@dataclass(frozen=True)
class Proof:
    """What is to be proved: a profile, which of its cores a VM shall show, and with which VMMs it moves."""

    profile: Profile
    core: str = ""
    vmms: tuple[str, ...] = ()


def boot(results: Path, request: Request, workers: int) -> Run:
    """Capture every cell of a request, and return the run. Raises Interrupted, and what ``start`` raises."""
    run, kernels = start(results, request)
    terminal.announce(run.plan)
    try:
        with console.board([run.plan.title(cell) for cell in run.plan.cells]) as board:
            execute(run, kernels, workers, board)
    except KeyboardInterrupt:
        raise Interrupted(
            "interrupted", next_step=f"finish the run: ccsight compare --resume {run.folder}"
        ) from None
    publish(run)
    return run


def profile_of(run: Run, cell: Cell) -> Profile:
    """Return the profile that a cell's capture is. Raises what :func:`need` and ``made_of`` raise."""
    capture = need(run, cell)
    content = (run.boot_folder(cell) / "capture.json").read_bytes()
    return made_of(capture, hashlib.sha256(content).hexdigest())


def need(run: Run, cell: Cell) -> Capture:
    """Return a cell's capture. Raises InfraError or ProbeError with the reason why there is none."""
    capture = run.capture(cell)
    if capture is None:
        failure = run.failure(cell)
        kind = ProbeError if failure and failure.status is Status.ERROR else InfraError
        raise kind(
            f"{cell.title} was not observed: {failure.fact if failure else 'nobody says why'}",
            evidence=failure.evidence if failure else "",
            next_step=failure.next_step if failure else f"see {run.console(cell)}",
        )
    return capture


def prove(run: Run, proof: Proof) -> tuple[Case, ...]:
    """Return every question about a profile, for each machine: each launch, then each way between kernels.

    Machines of other cores are left out (:func:`strangers`). Raises UsageError where all are.
    """
    others = strangers(run, proof)
    if len(others) == len(run.plan.machines):
        raise next(iter(others.values()))
    cases: list[Case] = []
    for machine in run.plan.machines:
        if machine in others:
            continue
        cells = [cell for cell in run.plan.cells if cell.machine == machine]
        cases += [_launch(run, cell, proof) for cell in cells]
        cases += [_move(run, source, destination, proof) for source, destination in permutations(cells, 2)]
    return tuple(cases)


def strangers(run: Run, proof: Proof) -> dict[str, UsageError]:
    """Return the machines that turned out to have other cores than the profile's, with what they have."""
    found: dict[str, UsageError] = {}
    for capture in filter(None, map(run.capture, run.plan.cells)):
        machine = capture.cell.machine
        try:
            core_for(proof.profile, capture.machine.cpus, machine, proof.core)
        except UsageError as error:
            found.setdefault(machine, error)
    return found


def planned(request: Request) -> tuple[tuple[Cell, ...], tuple[PlannedCase, ...]]:
    """Return the cells of a proof, and the questions that :func:`prove` will answer. Raises UsageError."""
    for kernel in request.kernels:
        kernel_specs.parse(kernel)
    cells = cells_of(request.kernels, request.machines)
    launches = [PlannedCase(check=LAUNCH, cells=(cell.id,)) for cell in cells]
    ways = [
        PlannedCase(check=MOVE, cells=(source.id, destination.id))
        for source, destination in permutations(cells, 2)
        if source.machine == destination.machine
    ]
    return cells, (*launches, *ways)


def _launch(run: Run, cell: Cell, proof: Proof) -> Case:
    try:
        capture = need(run, cell)
    except (InfraError, ProbeError) as error:
        return unjudged(PlannedCase(check=LAUNCH, cells=(cell.id,)), error.status, error.fact)
    core = core_for(proof.profile, capture.machine.cpus, cell.machine, proof.core)
    return launched(cell.id, core, capture.saved, observed(capture).name)


def _move(run: Run, source: Cell, destination: Cell, proof: Proof) -> Case:
    try:
        captures = need(run, source), need(run, destination)
        found = moves(*captures) if captures[0].saved else ()
    except (InfraError, ProbeError) as error:  # NotObserved is one of them
        question = PlannedCase(check=MOVE, cells=(source.id, destination.id))
        return unjudged(question, error.status, error.fact)
    return moved(source.id, destination.id, found, proof.vmms)


def guesses(
    capture: Capture, leaves: Mapping[int, tuple[Leaf, ...]], table: Table
) -> dict[str, tuple[Guess, ...]]:
    """Return what can be known of the old kernel's values, for each type of CPU that a capture saw.

    ``leaves`` are those of a copy of sysfs, by CPU; without any, the host's own count.
    """
    leaves = leaves or {each.index: _leaves(each) for each in capture.sysfs}
    return {
        f"{core_name(seen.midr)}, CPU {cpu} of {capture.cell.title}": guess(
            seen, row_for(seen.midr, table.cores.values())
        )
        for cpu, seen in seen_in(capture, leaves).items()
    }


def _leaves(shown: linux.LinuxCpu) -> tuple[Leaf, ...]:
    return tuple(_leaf(leaf) for leaf in shown.leaves or () if leaf.level and leaf.type)


def _leaf(shown: linux.Leaf) -> Leaf:
    return Leaf(
        shown.level,
        _SIDES[shown.type],
        line=shown.line,
        ways=shown.ways,
        sets=shown.sets,
        shared=shown.shared,
    )


def trial(table: Table) -> tuple[tuple[Score, ...], tuple[Score, ...], int]:
    """Return how good guesses are on each core of the table, without and with its row, and of how many."""
    machines = sorted(table.machines.values(), key=lambda each: -len({core.name for core in each.cores}))
    found: dict[bool, dict[str, list[Trial]]] = {False: {}, True: {}}
    for with_table, cores in found.items():
        for machine in machines:  # the ones of several cores first: their hosts are what they are met on
            fresh = trials(machine, table.bases[machine.base], with_table=with_table)
            new = {each.core for each in fresh} - cores.keys()
            cores.update({name: [each for each in fresh if each.core == name] for name in new})
    alone, helped = (scores([each for rows in found[key].values() for each in rows]) for key in (False, True))
    return alone, helped, len(found[False])


def refuse_other_silicon(proof: Proof, machine: str, table: Table) -> None:
    """Refuse a ``silicon:`` machine of other cores before it is booted: its rows say what they are."""
    spec = registry.parse(machine)
    if spec.kind == "silicon":
        cores = registry.on_silicon(spec, table).cores
        shown = [Cpu(midr=Hex(core.midr), revidr=Hex(core.revidr or 0)) for core in cores if core.shows_midr]
        core_for(proof.profile, shown, machine, proof.core)


def hosts_of_profile(name: str, profile: Profile) -> tuple[Host, ...]:
    """Return the machine of a profile as one of a fleet: what its guests read, and the CTR_EL0 of its KVM."""
    return tuple(Host(_part(name, core.name), core.userspace.ctr, core.guest) for core in profile.cores)


def hosts_of_silicon(machine: str, table: Table) -> tuple[Host, ...]:
    """Return a machine of the silicon table as one of a fleet. Raises UsageError for any other machine."""
    spec = registry.parse(machine)
    if spec.kind != "silicon":
        raise UsageError(
            f"the registers of {machine} are not known without a boot",
            next_step=f"ccsight profile capture KERNEL --on {machine} --out FILE, and name FILE",
        )
    cores = registry.on_silicon(spec, table).cores
    ctr = sanitised_ctr([(core.ctr, core.clidr) for core in cores])
    distinct = {core.name: core for core in cores}
    return tuple(
        Host(
            _part(spec.value, core.name),
            ctr,
            Shown(
                ctr=Hex(core.ctr),
                clidr=Hex(core.clidr),
                ccidx=int(core.ccidx),
                ccsidr={selector: Hex(value) for selector, value in core.ccsidr.items()},
            ),
        )
        for core in distinct.values()
    )


def _part(machine: str, core: str) -> str:
    return machine if machine == core else f"{machine}/{core}"
