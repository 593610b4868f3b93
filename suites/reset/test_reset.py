"""What must not change in the life of a vCPU, for every cell."""

import pytest

from ccsight.evidence.cases import Case
from ccsight.plugin import holds


@pytest.mark.emulated
@pytest.mark.check("CR-004")
def test_all_vcpus_agree_all_their_life(case: Case) -> None:
    holds(case)
