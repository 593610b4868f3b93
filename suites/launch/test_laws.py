"""What must hold on any one kernel, for every cell of the plan."""

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
@pytest.mark.check("CR-001")
def test_guest_reads_what_userspace_is_told(case: Case) -> None:
    _holds(case)


@pytest.mark.emulated
@pytest.mark.check("CR-002")
def test_every_listed_cache_has_a_ccsidr_that_can_exist(case: Case) -> None:
    _holds(case)


@pytest.mark.emulated
@pytest.mark.check("CR-017")
def test_the_console_shows_no_splat(case: Case) -> None:
    _holds(case)


@pytest.mark.emulated
@pytest.mark.check("CR-010")
def test_cache_lines_and_coherency_promises_fit_together(case: Case) -> None:
    _holds(case)


@pytest.mark.emulated
@pytest.mark.check("CR-011")
def test_el0_and_aarch32_see_what_el1_sees(case: Case) -> None:
    _holds(case)


@pytest.mark.emulated
@pytest.mark.check("CR-012")
def test_odd_selectors_and_accesses_end_as_promised(case: Case) -> None:
    _holds(case)
