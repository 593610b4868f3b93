"""Which back-ends lend a machine: labgrid, where its entry names a place, and always the machine itself."""

from collections.abc import Iterator
from contextlib import contextmanager

from ccsight.deadline import Deadline
from ccsight.machines import lease_model
from ccsight.machines.inventory import Entry
from ccsight.machines.labgrid_place import LabgridPlace
from ccsight.machines.lease import Place, mark
from ccsight.machines.lease_model import Leases
from ccsight.machines.model import Holding, Report


def outside(entry: Entry, report: Report) -> Leases | None:
    """Return who lends a machine before it is reached; None where nobody has to be asked."""
    return LabgridPlace(entry, report) if entry.labgrid else None


def inside(entry: Entry, host: Holding) -> Leases:
    """Return the lease that lies on the machine: it meets who never heard of labgrid, too."""
    return Place(entry.name, host)


@contextmanager
def lent(entry: Entry, purpose: str, deadline: Deadline, report: Report) -> Iterator[None]:
    """Have a machine of whoever lends it while the context lasts, over its reboots. Raises Taken."""
    lender = outside(entry, report)
    if lender is None:
        yield
        return
    with lender.leased(mark(), purpose, deadline) as held:
        lease_model.tell(entry.name, held, report)
        yield
