"""What a VMM may write, and what comes of it, for every cell of the plan."""

import pytest

from ccsight.evidence.cases import Case
from ccsight.plugin import holds


@pytest.mark.emulated
@pytest.mark.check("CR-005")
def test_what_is_written_is_seen_or_refused(case: Case) -> None:
    holds(case)
