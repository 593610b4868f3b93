"""Runs that prove the checks: a kernel with a seeded fault, and whether its check noticed."""

import re
from collections.abc import Iterator

from ccsight.checks import LAWS
from ccsight.checks.verdict import judged
from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.run import Run
from ccsight.evidence.views import Cell
from ccsight.gate.seen import Control
from ccsight.gate.site import observe
from ccsight.status import Status

#: How a spec names a patch that seeds a fault: after the check that must notice it (suites/control).
_SEEDED = re.compile(r",patch=(?:[^,]*/)?(CR-[0-9]{3})-[^,/]*\.patch")


def controls(run: Run) -> Iterator[Control]:
    """Yield each control of a run: a check that FAILs with its fault, and not on the kernel without it."""
    for cell in run.plan.cells:
        found = _SEEDED.search(cell.kernel)
        if found and found[1] in LAWS:
            without = [other for other in run.plan.cells if _is_base(other, cell)]
            noticed = bool(without) and _noticed(run, found[1], without[0], cell)
            yield Control(run.plan.id, run.plan.created, run.plan.ccsight, found[1], noticed)


def _is_base(other: Cell, cell: Cell) -> bool:
    return other.machine == cell.machine and other.kernel == cell.kernel.partition(",patch=")[0]


def _noticed(run: Run, check: str, base: Cell, patched: Cell) -> bool:
    site = observe(run, base, patched)
    cases = [
        judged(PlannedCase(check=check, cells=(cell.id,)), site.captures, site.failures)
        for cell in (base, patched)
    ]
    return [case.status for case in cases] == [Status.PASS, Status.FAIL]
