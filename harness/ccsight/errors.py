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

    def __init__(self, fact: str, *, evidence: str = "", next_step: str = "") -> None:
        super().__init__(fact)
        self.fact = fact
        self.evidence = evidence
        self.next_step = next_step

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
    """The lab or the harness could not observe: MISS, never a verdict on a kernel."""


class DeadlineExceeded(InfraError):
    """A wait ended by its clock."""


class NoSpace(InfraError):
    """A disk is full."""


class ArchiveError(InfraError):
    """The package archive cannot be reached, or what it sent is not what it signed."""


class ToolMissing(InfraError):
    """A program that ccsight needs is not on this system."""


class BootError(InfraError):
    """A machine did not come up with the kernel that it was given."""


class WrongKernel(BootError):
    """A machine came up, but not with the kernel that was asked for."""


class HostLost(InfraError):
    """A machine that was up does not answer any more."""


class NoKvm(InfraError):
    """The machine is up, but has no KVM to observe."""


class ProbeError(CcsightError):
    """Our own code on the machine failed, or its stream is malformed: ERROR, never a verdict."""

    status = Status.ERROR


class EvidenceError(CcsightError):
    """A results folder or a capture in it cannot be read as what it claims to be."""

    status = Status.ERROR
    exit_code = ExitCode.USAGE


class Interrupted(CcsightError):
    """The user, or a signal, ended the run; what was observed stays and can be resumed."""

    exit_code = ExitCode.INTERRUPTED
