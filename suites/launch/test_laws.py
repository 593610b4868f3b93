"""What must hold on any one kernel, for every cell of the plan."""

import pytest

from ccsight.evidence.cases import Case
from ccsight.plugin import holds


@pytest.mark.emulated
@pytest.mark.check("CR-001")
def test_guest_reads_what_userspace_is_told(case: Case) -> None:
    holds(case)


@pytest.mark.emulated
@pytest.mark.check("CR-002")
def test_every_listed_cache_has_a_ccsidr_that_can_exist(case: Case) -> None:
    holds(case)


@pytest.mark.emulated
@pytest.mark.check("CR-017")
def test_the_console_shows_no_splat(case: Case) -> None:
    holds(case)


@pytest.mark.emulated
@pytest.mark.check("CR-010")
def test_cache_lines_and_coherency_promises_fit_together(case: Case) -> None:
    holds(case)


@pytest.mark.emulated
@pytest.mark.check("CR-011")
def test_el0_and_aarch32_see_what_el1_sees(case: Case) -> None:
    holds(case)


@pytest.mark.emulated
@pytest.mark.check("CR-012")
def test_odd_selectors_and_accesses_end_as_promised(case: Case) -> None:
    holds(case)


@pytest.mark.emulated
@pytest.mark.check("CR-019")
def test_the_kernel_boots_where_its_base_does(case: Case) -> None:
    holds(case)
