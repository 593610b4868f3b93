"""What must not depend on the physical CPU, and what a reference model says of each one, for every cell."""

import pytest

from ccsight.evidence.cases import Case
from ccsight.plugin import holds


@pytest.mark.emulated
@pytest.mark.check("CR-003")
def test_view_is_the_same_on_every_physical_cpu(case: Case) -> None:
    holds(case)


@pytest.mark.emulated
@pytest.mark.check("CR-018")
def test_every_value_is_the_reference_models(case: Case) -> None:
    holds(case)
