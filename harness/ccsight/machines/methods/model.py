"""What a boot method is: it boots a kernel that lies ready on a machine, once, and leaves no trace."""

from dataclasses import dataclass
from typing import Protocol

from ccsight.deadline import Deadline
from ccsight.machines.equipment import Equipment
from ccsight.machines.root import Root

#: What all that is ours is called: a folder in /boot, an entry of a boot loader.
OURS = "ccsight"


@dataclass(frozen=True)
class Staged:
    """A kernel that lies on a machine in a folder of its own, with its initramfs, and what it is told."""

    folder: str
    command_line: tuple[str, ...]

    @property
    def image(self) -> str:
        """Where the Image lies."""
        return f"{self.folder}/Image"

    @property
    def initrd(self) -> str:
        """Where the initramfs lies."""
        return f"{self.folder}/initrd.img"

    @property
    def told(self) -> str:
        """The command line."""
        return " ".join(self.command_line)


class Method(Protocol):
    """A way to boot a machine once into a kernel that lies there."""

    @property
    def name(self) -> str:
        """What the inventory calls it."""
        ...

    def refuses(self, found: Equipment) -> str:
        """Return why a machine cannot be booted so without a risk to it; "" where it can."""
        ...

    def start(self, root: Root, staged: Staged, deadline: Deadline) -> None:
        """Have the next boot, and only that, be of this kernel, and begin it: the machine goes away.

        Both in one command there, so that nobody who is killed between leaves another one's next boot to be
        ours. Raises RootFailed, and then it has not begun; HostLost when the machine goes before it answers.
        """
        ...

    def clean(self, root: Root, deadline: Deadline) -> None:
        """Take away what was armed, whether or not it was; nothing else. Raises RootFailed."""
        ...


#: Begins a reboot in the usual way; the answer comes before the machine goes.
RESTART = "systemctl --no-block reboot\n"
