"""What a VMM may write, and what comes of it, for every cell of the plan."""

import pytest

from ccsight.evidence.cases import Case
from ccsight.status import Status


def _holds(case: Case) -> None:
    said = [
        f"{finding.where}: {finding.subject}: {finding.said}"
        for finding in case.findings
        if not finding.known
    ]
    assert case.status is Status.PASS, "\n".join([f"{case.status} {case.key} {case.reason}", *said])


@pytest.mark.emulated
@pytest.mark.check("CR-005")
def test_what_is_written_is_seen_or_refused(case: Case) -> None:
    _holds(case)
