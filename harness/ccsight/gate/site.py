"""A machine of a run: what there is of it under the old and the new kernel."""

from collections.abc import Mapping
from dataclasses import dataclass

from ccsight.checks.registry import NotObserved
from ccsight.errors import EvidenceError
from ccsight.evidence.boots import Boots
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import Arrivals, Capture
from ccsight.evidence.run import Run
from ccsight.evidence.views import Cell


@dataclass(frozen=True)
class Site:
    """A machine of a run with its old and its new kernel: what there is of either, by cell id.

    ``captures`` have what was restored in another boot, too; ``arrivals`` tells which kernel that was.
    """

    run: Run
    old: Cell | None
    new: Cell
    captures: Mapping[str, Capture]
    failures: Mapping[str, Failure]
    boots: Mapping[str, Boots]
    arrivals: Mapping[str, Arrivals]

    @property
    def ends(self) -> tuple[Capture, Capture]:
        """Both captures. Raises NotObserved."""
        return self.shown_of(self.old), self.shown

    @property
    def shown(self) -> Capture:
        """The new kernel's. Raises NotObserved."""
        return self.shown_of(self.new)

    def shown_of(self, cell: Cell | None) -> Capture:
        """The capture of one of its cells. Raises NotObserved."""
        if cell is None:
            raise NotObserved("the run has no such old kernel")
        if cell.id not in self.captures:
            failure = self.failures.get(cell.id)
            raise NotObserved(f"{cell.title}: {failure.fact if failure else 'never observed'}")
        return self.captures[cell.id]

    @property
    def pair(self) -> tuple[str, ...]:
        """The ids of both cells, as comparisons name them."""
        return (self.old.id if self.old else "", self.new.id)


def observe(run: Run, old: Cell | None, new: Cell) -> Site:
    """Return what there is of a machine's two cells; evidence that cannot be read is ERROR."""
    captures: dict[str, Capture] = {}
    failures: dict[str, Failure] = {}
    boots: dict[str, Boots] = {}
    arrivals: dict[str, Arrivals] = {}
    for cell in filter(None, (old, new)):
        try:
            capture = run.own_capture(cell)
            arrived = run.arrivals(cell) if capture else None
            failure, row = (None, None) if capture else (run.failure(cell), run.boots(cell))
        except EvidenceError as error:
            capture, arrived, failure, row = None, None, Failure.of(error), None
        captures |= {cell.id: capture.and_arrived(arrived) if arrived else capture} if capture else {}
        arrivals |= {cell.id: arrived} if arrived else {}
        failures |= {cell.id: failure} if failure else {}
        boots |= {cell.id: row} if row else {}
    return Site(run, old, new, captures, failures, boots, arrivals)
