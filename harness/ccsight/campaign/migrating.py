"""Which VMs move where: the states that a run has, the cells that they come from, the values they get."""

from ccsight.campaign.programs import Moves
from ccsight.evidence.model import Capture, Cpu
from ccsight.evidence.plan import Plan
from ccsight.evidence.run import Run
from ccsight.evidence.views import Cell
from ccsight.kvm.chosen import chosen, shown_to
from ccsight.probes.identity import Identity
from ccsight.probes.restoring import State


def sources(plan: Plan, cell: Cell) -> tuple[tuple[Cell, ...], tuple[Cell, ...]]:
    """Return the cells whose VMs a cell takes: those it is captured after, and those that come later.

    Both are empty where no VM moves. A machine's kernels wait for each other, because the values of the first
    one are given to VMs of all. Machines do not: only the last cell of the plan waits for those of other
    machines. So C cells take 2C - 1 boots, and fewer there are not: of two cells, one has to be booted again.
    """
    if not plan.depth.migrate:
        return (), ()
    at = plan.cells.index(cell)
    takes = plan.cells if plan.depth.across else _of(plan.cells, cell.machine)
    is_last = plan.depth.across and at == len(plan.cells) - 1
    before = takes[:-1] if is_last else _of(plan.cells[:at], cell.machine)
    return before, tuple(each for each in takes if each not in (*before, cell))


def _of(cells: tuple[Cell, ...], machine: str) -> tuple[Cell, ...]:
    return tuple(cell for cell in cells if cell.machine == machine)


def arriving(run: Run, sources: tuple[Cell, ...]) -> tuple[State, ...]:
    """Return all VMs that were saved on other cells."""
    captures = [(source, run.capture(source)) for source in sources]
    return tuple(
        State(source, saved.strategy, saved.sha256, run.state(source, saved.file))
        for source, capture in captures
        if capture
        for saved in capture.saved
    )


def kinds(identity: Identity, core: int | None = None) -> tuple[int, ...]:
    """Return the first physical CPU of each kind, by its own identification; that of a MIDR_EL1 leads."""
    first: dict[Cpu, int] = {}
    for number, cpu in enumerate(identity.cpus):
        first.setdefault(cpu, number)
    return tuple(sorted(first.values(), key=lambda number: identity.cpus[number].midr != core))


def _shown(first: Capture) -> dict[str, int]:
    """Return the values of a machine's first kernel: those of its VM; where none was saved, of its launch."""
    return shown_to(first.saved) or chosen(first.views)


def moves(run: Run, cell: Cell, boot: int | str, identity: Identity) -> Moves:
    """Return which VMs a cell's boot saves and restores: those of the cells that it came after are there."""
    before, _ = sources(run.plan, cell)
    earlier = _of(before, cell.machine)
    first = run.capture(earlier[0]) if earlier else None
    return Moves(
        cell=cell,
        folder=run.boot_folder(cell, boot),
        cpus=kinds(identity, run.plan.depth.core),
        profile=run.plan.depth.profile or (_shown(first) if first else None),
        arriving=arriving(run, before),
    )
