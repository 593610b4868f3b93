"""How to get at a real machine: by SSH as root, and from outside where its entry says how."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from ccsight.deadline import Deadline
from ccsight.errors import UsageError
from ccsight.machines import reach
from ccsight.machines.inventory import Entry
from ccsight.machines.methods.model import Method
from ccsight.machines.methods.table import METHODS
from ccsight.machines.model import Reached
from ccsight.machines.root import Root
from ccsight.machines.sudo import SudoHost


@dataclass(frozen=True)
class Way:
    """A machine that may be booted. ``force``: running VMs and logged-in users are no reason not to.

    ``attended``: somebody looks on, so nobody need have seen that it comes back.
    """

    entry: Entry
    force: bool = False
    attended: bool = False

    @property
    def name(self) -> str:
        """The machine's."""
        return self.entry.name

    @property
    def method(self) -> Method:
        """How it is booted. Raises UsageError where its entry says nothing of that."""
        if self.entry.boot in METHODS:
            return METHODS[self.entry.boot](self.entry)
        raise UsageError(
            f"{self.name} runs the kernel that it runs: its entry says no way to boot another one",
            evidence=f"boot = {self.entry.boot!r}; there are {', '.join(METHODS)}"
            if self.entry.boot
            else f"{self.entry.place} has no boot = METHOD",
            next_step=f"see which one it has: ccsight machines check {self.name}",
        )

    @contextmanager
    def reached(self, deadline: Deadline) -> Iterator[Root]:
        """Have root on the machine while the context lasts."""
        with connected(self.entry, deadline) as host:
            yield Root(self.name, host)


@contextmanager
def connected(entry: Entry, deadline: Deadline) -> Iterator[Reached]:
    """Have a machine while the context lasts: as root, where its entry says sudo."""
    with closing(reach.connect(entry, deadline)) as connection:
        yield SudoHost(connection) if entry.sudo else connection
