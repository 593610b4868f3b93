"""A machine of the inventory as a place to build on: for its user, without sudo, and leased meanwhile."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from ccsight.deadline import Deadline
from ccsight.machines import inventory, reach
from ccsight.machines.lease import mark
from ccsight.machines.leasing import inside, lent
from ccsight.machines.model import Reached


@contextmanager
def lend(name: str, purpose: str, deadline: Deadline) -> Iterator[Reached]:
    """Have a machine while the context lasts; nobody reboots it meanwhile, where there is a purpose.

    Raises Taken when somebody else has it, UsageError, or what says why it cannot be reached.
    """
    entry = inventory.entry(name)
    with ExitStack() as held:
        if purpose:
            held.enter_context(lent(entry, purpose, deadline, lambda said: None))
        host = held.enter_context(closing(reach.connect(entry, deadline)))
        if purpose:
            held.enter_context(inside(entry, host).leased(mark(), purpose, deadline))
        yield host
