"""The error taxonomy: every failure that a user may meet, as fact, evidence and next step.

The class carries the status and the exit code, so nobody ever inspects a message. An expectation
that a kernel does not meet is not an error but a finding (see ``checks``).
"""

from collections.abc import Iterator

from ccsight.status import ExitCode, Status


class CcsightError(Exception):
    """Anything that ccsight says instead of a traceback."""

    status = Status.MISS
    exit_code = ExitCode.NOT_OBSERVED
    #: Whether the rest of a run leaves a machine alone after such an error, where there is one of it only.
    ends_machine = False
    #: The next step after errors of this class, where whoever raises one knows no better.
    advice = ""

    def __init__(self, fact: str, *, evidence: str = "", next_step: str = "") -> None:
        super().__init__(fact)
        self.fact = fact
        self.evidence = evidence
        self.next_step = next_step or self.advice

    def __reduce__(self) -> "tuple[object, ...]":
        """Survive the way from a worker process back to the controller."""
        return (_rebuild, (type(self), self.fact, self.evidence, self.next_step))

    def __str__(self) -> str:
        return "\n".join([self.fact, *(head + text for head, text in self.below())])

    def below(self) -> Iterator[tuple[str, str]]:
        """Yield the lines below the fact: what each begins with, always as wide, and its text."""
        for label, text in (("evidence", self.evidence), ("next", self.next_step)):
            for number, line in enumerate(text.splitlines()):
                yield f"  {'' if number else label:<9} ", line


def _rebuild(kind: type[CcsightError], fact: str, evidence: str, next_step: str) -> CcsightError:
    return kind(fact, evidence=evidence, next_step=next_step)


def reason(error: Exception) -> str:
    """Return what the system or a parser says of a file, without Python's marks: ``FILE: No such file …``."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, UnicodeDecodeError):
        return f"not a text in UTF-8: byte {error.start} is {error.object[error.start]:#x}"
    return str(error)


class UsageError(CcsightError):
    """What was asked for cannot be: nothing was started."""

    exit_code = ExitCode.USAGE


class InfraError(CcsightError):
    """The lab or the harness could not observe: MISS, never a verdict on a kernel.

    It ends its machine, unless the class says that the trouble is this system's, or came with a kernel.
    """

    ends_machine = True


class DeadlineExceeded(InfraError):
    """A wait ended by its clock."""

    advice = "on a loaded system all takes longer: try again; --resume repeats nothing that is done"


class NoSpace(InfraError):
    """A disk of this system is full."""

    ends_machine = False


class ArchiveError(InfraError):
    """The package archive cannot be reached, or what it sent is not what it signed."""

    ends_machine = False
    advice = "archives change: try again, or name another version (ccsight kernels --refresh)"


class ToolMissing(InfraError):
    """A program that ccsight needs is not on this system."""

    ends_machine = False


class BootError(InfraError):
    """A machine did not come up with the kernel that it was given; it can be given another one."""

    ends_machine = False
    advice = "the end of its console says how far it came: consoles/ in the run's folder"


class WrongKernel(BootError):
    """A machine came up, but not with the kernel that was asked for."""


class HostRefused(InfraError):
    """A machine that is up does not do what it was asked to: with a file, or a command."""

    advice = "see there by hand: whether its disk is full, and who may do that"


class HostLost(InfraError):
    """A machine that was up does not answer any more."""

    advice = "the end of its console says why, where there is one; --resume asks it again"


class MachineLost(InfraError):
    """A machine of which there is one is not back on its own kernel, or was lost before."""

    advice = "see to that machine by hand (ccsight machines check NAME); --resume tries it again"


class NoKvm(InfraError):
    """The machine is up, but has no KVM to observe."""

    ends_machine = False


class ProbeError(CcsightError):
    """Our own code on the machine failed, or its stream is malformed: ERROR, never a verdict."""

    status = Status.ERROR
    advice = "what it sent is in this boot's folder, as it came; where it stays so, report it, with that"


class EvidenceError(CcsightError):
    """A results folder or a capture in it cannot be read as what it claims to be."""

    status = Status.ERROR
    exit_code = ExitCode.USAGE
    advice = "it was altered, or another program wrote it: nothing of it is used, and nothing was changed"


class Interrupted(CcsightError):
    """The user, or a signal, ended the run; what was observed stays and can be resumed."""

    exit_code = ExitCode.INTERRUPTED
