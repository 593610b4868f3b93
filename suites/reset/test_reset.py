"""What must not change in the life of a vCPU, for every cell."""

import pytest

from ccsight.evidence.cases import Case
from ccsight.status import Status


@pytest.mark.emulated
@pytest.mark.check("CR-004")
def test_all_vcpus_agree_all_their_life(case: Case) -> None:
    said = [f"{finding.where}: {finding.subject}: {finding.said}" for finding in case.findings]
    assert case.status is Status.PASS, "\n".join([f"{case.status} {case.key} {case.reason}", *said])
