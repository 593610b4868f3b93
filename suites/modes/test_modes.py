"""What must depend neither on the mode of KVM nor on MTE or EL2: on two machines, or on one by itself."""

import pytest

from ccsight.evidence.cases import Case
from ccsight.plugin import holds


@pytest.mark.emulated
@pytest.mark.check("CR-013")
def test_a_vm_shows_the_same_in_every_mode(case: Case) -> None:
    holds(case)
