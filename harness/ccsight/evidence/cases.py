"""What judging yields: findings, and one case for each planned judgement."""

from ccsight.evidence.record import Record
from ccsight.status import Status


class PlannedCase(Record, frozen=True):
    """A judgement that a run promises: a check, and the one or two cells that it looks at."""

    check: str
    cells: tuple[str, ...]

    @property
    def key(self) -> str:
        """A name that is unique in a run."""
        return f"{self.check} {' → '.join(self.cells)}"


class Finding(Record, frozen=True):
    """One thing that a check has to say.

    ``subject`` is a register, ``REGISTER.FIELD`` or a cache; ``before``/``after`` are its two values in
    words, where two were compared. ``known`` is the reason why the observed behaviour is known to do
    this: such a finding explains, and is not held against the kernel.
    """

    subject: str
    said: str
    where: str = ""
    before: str = ""
    after: str = ""
    known: str = ""


class Case(Record, frozen=True):
    """How a planned judgement ended.

    ``outcome`` is a comparison's word (``same``, ``differs`` …), "" for laws. ``reason`` says why nothing
    was observed, for MISS, ERROR and SKIP.
    """

    check: str
    cells: tuple[str, ...]
    status: Status
    outcome: str = ""
    reason: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def key(self) -> str:
        """The same name as the planned case's."""
        return PlannedCase(check=self.check, cells=self.cells).key


def unjudged(planned: PlannedCase, status: Status, reason: str) -> Case:
    """Return the case of a judgement that could not be made: MISS, ERROR or SKIP, and why."""
    return Case(check=planned.check, cells=planned.cells, status=status, reason=reason)
