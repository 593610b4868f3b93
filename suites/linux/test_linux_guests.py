"""What a Linux guest shows of its caches, for every cell; asked for by ``--linux``."""

import pytest

from ccsight.evidence.cases import Case
from ccsight.plugin import holds


@pytest.mark.emulated
@pytest.mark.check("CR-016")
def test_a_linux_guest_keeps_its_caches_on_all_cpus(case: Case) -> None:
    holds(case)
