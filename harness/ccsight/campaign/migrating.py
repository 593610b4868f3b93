"""Which VMs move where: the states that a run has, the kernels that they come from, the values they get."""

from ccsight.campaign.programs import Moves
from ccsight.evidence.model import Cpu
from ccsight.evidence.run import Plan, Run
from ccsight.evidence.views import Cell
from ccsight.kvm.chosen import chosen
from ccsight.probes.identity import Identity
from ccsight.probes.moving import State


def neighbours(plan: Plan, cell: Cell) -> tuple[tuple[Cell, ...], tuple[Cell, ...]]:
    """Return the cells of the same machine that come before and behind a cell; none where no VM moves."""
    if not plan.depth.migrate:
        return (), ()
    row = [each for each in plan.cells if each.machine == cell.machine]
    at = row.index(cell)
    return tuple(row[:at]), tuple(row[at + 1 :])


def arriving(run: Run, sources: tuple[Cell, ...]) -> tuple[State, ...]:
    """Return all VMs that were saved on other cells."""
    captures = [(source, run.capture(source)) for source in sources]
    return tuple(
        State(source, saved.strategy, saved.sha256, run.state(source, saved.file))
        for source, capture in captures
        if capture
        for saved in capture.saved
    )


def kinds(identity: Identity) -> tuple[int, ...]:
    """Return the first physical CPU of each kind, by its own identification."""
    first: dict[Cpu, int] = {}
    for number, cpu in enumerate(identity.cpus):
        first.setdefault(cpu, number)
    return tuple(first.values())


def moves(run: Run, cell: Cell, boot: int | str, identity: Identity) -> Moves:
    """Return which VMs a cell's boot saves and restores: those of the kernels before it are there."""
    before, _ = neighbours(run.plan, cell)
    first = run.capture(before[0]) if before else None
    return Moves(
        cell=cell,
        folder=run.boot_folder(cell, boot),
        cpus=kinds(identity),
        profile=run.plan.depth.profile or (chosen(first.views) if first else None),
        arriving=arriving(run, before),
    )
