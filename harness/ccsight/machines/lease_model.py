"""What every kind of lease has in common: who has a machine, having it for a while, taking it away."""

from contextlib import AbstractContextManager
from typing import Protocol

from ccsight.deadline import Deadline
from ccsight.machines.lease import Holder, Seen, Taken
from ccsight.machines.model import Report


class Held(Protocol):
    """A machine that is ours. ``before`` is who left it, None where nobody did."""

    @property
    def before(self) -> Holder | None:
        """Who had it, and did not give it back."""


class Leases(Protocol):
    """Where somebody asks for a machine: on the machine itself, or at a coordinator of labgrid."""

    def look(self, deadline: Deadline) -> Seen:
        """Return who has the machine, taking nothing."""

    def leased(self, own: str, purpose: str, deadline: Deadline) -> AbstractContextManager[Held | None]:
        """Have the machine while the context lasts; None where nobody can be told. Raises Taken."""

    def take_away(self, holder: Holder, deadline: Deadline) -> None:
        """End the lease of somebody. Raises Taken when somebody else has it by now."""

    def taken(self, seen: Seen) -> Taken:
        """Return the error that says who has it."""


def tell(name: str, held: Held | None, report: Report) -> None:
    """Say who left a machine that is ours now, where somebody did."""
    if held and held.before:
        report(f"{name} was left by {held.before}")
