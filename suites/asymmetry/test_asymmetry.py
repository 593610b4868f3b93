"""What must not depend on the physical CPU, and what a reference model says of each one, for every cell."""

import pytest

from ccsight.evidence.cases import Case
from ccsight.status import Status


def _holds(case: Case) -> None:
    if case.status is Status.SKIP:
        pytest.skip(case.reason)
    said = [
        f"{finding.where}: {finding.subject}: {finding.said}"
        for finding in case.findings
        if not finding.known
    ]
    assert case.status is Status.PASS, "\n".join([f"{case.status} {case.key} {case.reason}", *said])


@pytest.mark.emulated
@pytest.mark.check("CR-003")
def test_view_is_the_same_on_every_physical_cpu(case: Case) -> None:
    _holds(case)


@pytest.mark.emulated
@pytest.mark.check("CR-018")
def test_every_value_is_the_reference_models(case: Case) -> None:
    _holds(case)
