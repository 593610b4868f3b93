"""What to do about a check's findings: its own words where it has some, else those of its kind."""

import pytest
from recorded import capture

from ccsight.checks import AGREEMENTS, COMPARISONS, LAWS
from ccsight.checks.advice import advice
from ccsight.checks.verdict import comparisons
from ccsight.errors import UsageError


def test_a_check_has_its_own_advice():
    assert advice("CR-001").startswith("trust the guest's value")
    assert advice("CR-009").startswith("nothing fails; read the sentences")
    assert advice("CR-013").startswith("compare the cells' tables")


def test_a_check_without_a_row_has_that_of_its_kind():
    assert advice("CR-006").startswith("the findings name register, vCPU and CPU")
    assert advice("CR-008").startswith("nothing fails: it is measured")


def test_every_check_has_some():
    assert all(advice(check) for check in (*LAWS, *AGREEMENTS, *COMPARISONS))


def test_an_unknown_check_has_none():
    with pytest.raises(UsageError, match="CR-999"):
        advice("CR-999")


def test_comparisons_are_cases_of_both_cells_in_their_order():
    old, new = (capture("neoverse-n1", series) for series in ("6.1", "6.12"))
    found = comparisons(old, new)
    assert {case.cells for case in found} == {(old.cell.id, new.cell.id)}
    assert [case.check for case in found] == sorted(
        check for check, each in COMPARISONS.items() if not each.program
    )
