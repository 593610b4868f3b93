"""A command of the user's own, which runs here and sees to the next boot: a script for a boot server, say."""

from collections.abc import Sequence
from dataclasses import dataclass

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.machines.equipment import Equipment
from ccsight.machines.methods.model import RESTART, Staged
from ccsight.machines.root import Root


@dataclass(frozen=True)
class Command:
    """``boot = "command"``: ``boot-command`` is given one of these groups of words after its own.

    ``once IMAGE INITRD COMMAND-LINE``: have the next boot, and only that, be of what lies there on the
    machine; ``clean``: take that back, whether or not it was asked. Both end with status 0.
    """

    argv: Sequence[str]
    name: str = "command"

    def refuses(self, found: Equipment) -> str:
        """See :class:`ccsight.machines.methods.model.Method`: what it can do, only it knows."""
        return "" if self.argv else "its entry has no boot-command"

    def start(self, root: Root, staged: Staged, deadline: Deadline) -> None:
        """See :class:`ccsight.machines.methods.model.Method`. Raises ProcessFailed."""
        process.run([*self.argv, "once", staged.image, staged.initrd, staged.told], deadline)
        root.run("rebooting", RESTART, deadline=deadline)

    def clean(self, root: Root, deadline: Deadline) -> None:
        """See :class:`ccsight.machines.methods.model.Method`. Raises ProcessFailed."""
        process.run([*self.argv, "clean"], deadline)
