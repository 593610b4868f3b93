"""What must not depend on the mode of KVM or on MTE, for every pair of machines that differ in only that."""

import pytest

from ccsight.evidence.cases import Case
from ccsight.status import Status


@pytest.mark.emulated
@pytest.mark.check("CR-013")
def test_a_vm_shows_the_same_in_every_mode(case: Case) -> None:
    if case.status is Status.SKIP:
        pytest.skip(case.reason)
    said = [f"{finding.where}: {finding.subject}: {finding.said}" for finding in case.findings]
    assert case.status is Status.PASS, "\n".join([f"{case.status} {case.key} {case.reason}", *said])
