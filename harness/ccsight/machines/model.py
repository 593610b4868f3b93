"""What a machine is to the rest of the tree: something that boots a kernel and gives a host to talk to."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from ccsight.deadline import Deadline
from ccsight.evidence.model import Declared, Reboot
from ccsight.kernels.model import Kernel
from ccsight.process import Completed

#: Told about each stage of a boot as it begins: ``report("ssh")``.
Report = Callable[[str], None]


class Host(Protocol):
    """A running system that takes commands and files. Every implementation passes one conformance test."""

    def run(self, argv: Sequence[str], deadline: Deadline, *, limit: int = 64 << 20) -> Completed:
        """Run a program with exactly this argv; any exit status is returned, not raised.

        Raises DeadlineExceeded, HostLost, or OutputTooLong beyond ``limit`` bytes a stream.
        """
        ...

    def push(self, local: Path, remote: str, deadline: Deadline, *, mode: int = 0o755) -> None:
        """Copy a local file to the host, whole or not at all."""
        ...

    def fetch(self, remote: str, deadline: Deadline, *, limit: int = 64 << 20) -> bytes:
        """Return a file of the host. Files in /proc and /sys work, too."""
        ...


@runtime_checkable
class Feeding(Host, Protocol):
    """A host that can give a program something to read, in as many round trips as it takes without."""

    def feed(
        self, argv: Sequence[str], content: bytes, deadline: Deadline, *, limit: int = 64 << 20
    ) -> Completed:
        """Run a program as ``run`` does, with this for its standard input: some 100 KiB at most."""
        ...


class Holding(Host, Protocol):
    """A host that can have a program run for as long as somebody is there."""

    def hold(self, argv: Sequence[str], deadline: Deadline) -> AbstractContextManager[bytes]:
        """Run a program as long as the context lasts, and yield the first line that it says.

        Its standard input ends with the context, and with this process: that is what it ends by. Until then
        a byte comes now and then (``beat``), so that it knows a network that went away, too. Raises
        DeadlineExceeded, HostLost, or InfraError when it ends before it has said a line.
        """
        ...


class Reached(Feeding, Holding, Protocol):
    """A host that is reached over a network: it does all of that."""


@dataclass(frozen=True)
class Booted:
    """A machine that runs the kernel it was given, as far as the machine itself can prove it.

    ``boot_token`` is what only this boot has: a word of its kernel's command line, or its boot-id, read by
    whoever vouches for the machine. ``cpus`` is how many there must be. ``emulator`` and ``argv`` are
    provenance, empty for real machines. ``declared`` returns what the silicon table makes its CPUs say, with
    the hits so far, ``papers`` files by name that belong beside a capture. ``takes_modules`` is whether the
    user lets ccsight load a kernel module there. ``here`` is whether it is the machine that ccsight itself
    runs on, so that nothing has to be sent anywhere. ``image`` is where the Image of the kernel lies that it
    runs, "" where it is not at hand. ``reboot`` is how a real machine came to run it.
    """

    host: Host
    boot_token: str
    cpus: int
    emulator: str = ""
    argv: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    declared: Callable[[], tuple[Declared, ...]] = tuple
    papers: Callable[[], dict[str, bytes]] = dict
    takes_modules: bool = False
    here: bool = False
    image: str = ""
    reboot: Reboot | None = None


@dataclass(frozen=True)
class BootOrder:
    """What a machine shall boot: the kernel, and the file in which all of its console is kept.

    ``guest_image`` asks for the Image in the machine's own file system, for guests that run the same kernel:
    a machine that can has it there sooner than it could be sent (``Booted.image``).
    """

    kernel: Kernel
    console: Path
    guest_image: bool = False


class Machine(Protocol):
    """Something that can boot a kernel, by spec."""

    @property
    def spec(self) -> str:
        """The spec that names this machine everywhere."""
        ...

    @property
    def seconds(self) -> float:
        """How many seconds a boot and the way back may take beyond an emulated machine's; asks nobody."""
        ...

    def prepare(self, deadline: Deadline, report: Report) -> None:
        """See that the machine could be booted, and get what that takes, before a run begins.

        Raises UsageError for a machine that there is not.
        """
        ...

    def prove_may_boot(self, deadline: Deadline) -> None:
        """Raise InfraError for a machine that must be left alone as it is now; nothing is changed there."""
        ...

    def boot(self, order: BootOrder, deadline: Deadline, report: Report) -> AbstractContextManager[Booted]:
        """Boot a kernel; leaving the context ends what was started, in any case.

        Raises BootError with the last console lines when the machine does not become ready.
        """
        ...
