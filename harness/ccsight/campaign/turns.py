"""Whose turn it is on a machine of which there is one: a boot at a time, and none after it was lost.

Emulated machines are made anew by every boot: nobody waits for one, and none is lost to others.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import InfraError, MachineLost
from ccsight.evidence.failure import Failure
from ccsight.evidence.record import Record, from_json, to_json
from ccsight.evidence.run import Run
from ccsight.evidence.views import Cell
from ccsight.machines.inventory import NAME, TAKEN
from ccsight.store import locked, write_atomically

#: The turns that each cell may take of its machine: its capture, and what is restored on it later.
_TURNS = 2
#: Stands among the programs of a cell where its machine did not come back.
WAY_BACK = "way back"


class Loss(Record, frozen=True):
    """The cell with which a machine was lost, and why."""

    cell: Cell
    failure: Failure


def once(machine: str) -> str:
    """Return the name of the only machine that a spec means, whatever its options; "" for one that is made.

    Every spec that has no colon begins with a name: that of the inventory, or ``local``, which is not booted.
    """
    name = machine.partition(",")[0]
    return name if NAME.fullmatch(name) and name not in TAKEN else ""


@contextmanager
def turn(run: Run, cell: Cell, key: str, seconds: float) -> Iterator[None]:
    """Keep all other processes from ``key`` meanwhile, and from the cell's machine where there is one of it.

    ``seconds`` is how long whoever is before us may take. Raises DeadlineExceeded.
    """
    name = once(cell.machine)
    before = _TURNS * sum(once(other.machine) == name for other in run.plan.cells) if name else 1
    place = f"machine-{name}" if name else key
    with locked(run.folder / ".locks" / place, Deadline(seconds * before)):
        yield


@contextmanager
def kept(run: Run, cell: Cell) -> Iterator[None]:
    """Use the machine of a cell meanwhile, and write down when it is lost.

    Raises MachineLost where it was before: it is not tried again.
    """
    loss = lost(run, cell)
    if loss:
        kernel = run.plan.label(loss.cell.kernel)
        raise MachineLost(
            f"{once(cell.machine)} was given up with {kernel}: {loss.failure.fact}; not tried",
            evidence=loss.failure.evidence,
            next_step=loss.failure.next_step,
        )
    try:
        yield
    except InfraError as error:
        if once(cell.machine) and error.ends_machine:
            file = _file(run, cell)
            file.parent.mkdir(exist_ok=True)
            write_atomically(file, to_json(Loss(cell=cell, failure=Failure.of(error))))
        raise


def lost(run: Run, cell: Cell) -> Loss | None:
    """Return how the machine of a cell was lost in this run; None where it was not."""
    file = _file(run, cell)
    return from_json(file.read_bytes(), Loss) if once(cell.machine) and file.is_file() else None


def not_back(run: Run, cell: Cell) -> dict[str, Failure]:
    """Return why the machine did not come back from a cell of which all was seen, as one of its failures."""
    loss = lost(run, cell)
    return {WAY_BACK: loss.failure} if loss and loss.cell == cell else {}


def forget(run: Run) -> None:
    """Have all machines tried again that were lost: the run is resumed."""
    shutil.rmtree(_folder(run), ignore_errors=True)


def _file(run: Run, cell: Cell) -> Path:
    return _folder(run) / f"{once(cell.machine)}.json"


def _folder(run: Run) -> Path:
    return run.folder / ".lost"
