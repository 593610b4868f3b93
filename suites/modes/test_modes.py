"""What must not depend on the mode of KVM or on MTE, for every pair of machines that differ in only that."""

import pytest

from ccsight.evidence.cases import Case
from ccsight.plugin import holds


@pytest.mark.emulated
@pytest.mark.check("CR-013")
def test_a_vm_shows_the_same_in_every_mode(case: Case) -> None:
    holds(case)
