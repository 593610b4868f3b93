"""What a new kernel owes those who run guests on the old one: three rules, each kept on every machine or not.

They were proposed for KVM's documentation in May 2026, and are not merged. Unlike a comparison, which
measures, a rule fails: this folder is run by those who hold a release to them.
"""

import pytest

from ccsight.evidence.cases import Case
from ccsight.plugin import holds


@pytest.mark.emulated
@pytest.mark.check("RULE-1")
def test_the_ioctl_state_suffices_to_migrate_between_kernels(case: Case) -> None:
    holds(case)


@pytest.mark.emulated
@pytest.mark.check("RULE-2")
def test_a_visible_change_comes_with_a_way_to_select_the_previous_behaviour(case: Case) -> None:
    holds(case)


@pytest.mark.emulated
@pytest.mark.check("RULE-3")
def test_upgrade_and_roll_back_both_work(case: Case) -> None:
    holds(case)
