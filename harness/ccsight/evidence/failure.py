"""Why something was not observed: an error of the taxonomy, written down."""

from ccsight.errors import CcsightError
from ccsight.evidence.record import Record
from ccsight.status import Status


class Failure(Record, frozen=True):
    """Why a cell has no capture, or one of its programs no part in it."""

    status: Status
    fact: str
    evidence: str = ""
    next_step: str = ""

    @classmethod
    def of(cls, error: CcsightError) -> "Failure":
        """Write an error down."""
        return cls(status=error.status, fact=error.fact, evidence=error.evidence, next_step=error.next_step)
