"""Outcome words and exit codes; one meaning each, shared by every verb, report and suite.

The words are KCIDB's, so that results can be sent there without translation.
"""

from collections.abc import Iterable
from enum import IntEnum, StrEnum


class Status(StrEnum):
    """How one planned case ended, worst first."""

    FAIL = "FAIL"  #: the kernel is at fault
    ERROR = "ERROR"  #: our own test code is at fault
    MISS = "MISS"  #: lab or harness trouble: nothing was observed
    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    DONE = "DONE"  #: measured; no verdict was asked for
    SKIP = "SKIP"  #: not applicable by architecture, with a reason

    @property
    def priority(self) -> int:
        """Rank of badness: 0 is the worst."""
        return list(Status).index(self)


class ExitCode(IntEnum):
    """What the shell sees; the same table for every verb."""

    OK = 0
    FAIL = 1
    USAGE = 2
    NOT_OBSERVED = 3
    INCONCLUSIVE = 4
    INTERRUPTED = 130


def summarise(statuses: Iterable[Status]) -> Status:
    """Return the worst of many; nothing at all is MISS, because green needs proof."""
    return min(statuses, key=lambda status: status.priority, default=Status.MISS)


def exit_code(statuses: Iterable[Status]) -> ExitCode:
    """Return the exit code of a run whose planned cases ended so.

    A run with no evidence is never 0: nothing ran, or everything was skipped, is INCONCLUSIVE.
    """
    seen = set(statuses)
    if Status.FAIL in seen:
        return ExitCode.FAIL
    if seen & {Status.ERROR, Status.MISS}:
        return ExitCode.NOT_OBSERVED
    if seen & {Status.PASS, Status.DONE}:
        return ExitCode.OK
    return ExitCode.INCONCLUSIVE
