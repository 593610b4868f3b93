"""What a fresh launch shows on the old and on the new kernel: measured, with its outcome, never a failure."""

import pytest

from ccsight.evidence.cases import Case
from ccsight.status import Status


def _measured(case: Case, outcomes: set[str]) -> None:
    assert case.status is Status.DONE, f"{case.status} {case.key} {case.reason}"
    assert case.outcome in outcomes


@pytest.mark.emulated
@pytest.mark.check("CR-009")
def test_what_a_fresh_launch_shows(case: Case) -> None:
    _measured(case, {"same", "differs"})


@pytest.mark.emulated
@pytest.mark.check("CR-014")
def test_which_registers_userspace_must_carry(case: Case) -> None:
    _measured(case, {"same", "grew", "shrank", "changed"})


@pytest.mark.emulated
@pytest.mark.check("CR-015")
def test_ccidx_and_the_ccsidr_layout(case: Case) -> None:
    _measured(case, {"same", "changes", "contradicts"})
