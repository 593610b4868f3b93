"""What becomes of VMs that are saved and restored on another kernel or machine: measured, but for the first.

Between machines they go with ``--across`` only.
"""

import pytest

from ccsight.evidence.cases import Case
from ccsight.plugin import holds
from ccsight.status import Status

pytestmark = pytest.mark.emulated


@pytest.mark.check("CR-006")
def test_a_vm_loses_nothing_on_the_kernel_that_saved_it(case: Case) -> None:
    holds(case)


@pytest.mark.check("CR-007")
def test_an_upgrade_is_measured(case: Case) -> None:
    assert case.status is Status.DONE, case.reason


@pytest.mark.check("CR-008")
def test_a_roll_back_is_measured(case: Case) -> None:
    assert case.status is Status.DONE, case.reason


@pytest.mark.check("CR-020")
def test_a_way_to_another_machine_is_measured(case: Case) -> None:
    assert case.status is Status.DONE, case.reason
