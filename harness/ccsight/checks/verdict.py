"""From a planned case and whatever evidence there is of its cells to a verdict."""

from collections.abc import Mapping

from ccsight.checks.registry import COMPARISONS, TRIALS, judge, try_kernel
from ccsight.evidence.boots import Boots
from ccsight.evidence.cases import Case, PlannedCase
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import Capture
from ccsight.status import Status

#: What there is of boots in a run whose kernels all came up.
_NONE: Mapping[str, Boots | None] = {}


def judged(
    planned: PlannedCase,
    captures: Mapping[str, Capture | None],
    failures: Mapping[str, Failure | None],
    boots: Mapping[str, Boots | None] = _NONE,
) -> Case:
    """Return a planned case's verdict: judged, or MISS (ERROR where our own code failed) with the reason."""
    seen = []
    for cell in planned.cells:
        capture = captures.get(cell)
        row = boots.get(cell)
        if capture is None and row and planned.check in TRIALS:
            return try_kernel(planned, row)
        if capture is None:
            failure = failures.get(cell)
            return Case(
                check=planned.check,
                cells=planned.cells,
                status=failure.status if failure else Status.MISS,
                reason=f"{cell}: {failure.fact if failure else 'never observed'}",
            )
        seen.append(capture)
    return judge(planned, tuple(seen))


def comparisons(old: Capture, new: Capture) -> tuple[Case, ...]:
    """Return every comparison of two captures, of whatever cells: all but those of VMs that move."""
    cells = (old.cell.id, new.cell.id)
    checks = sorted(check for check, each in COMPARISONS.items() if not each.program)
    return tuple(judge(PlannedCase(check=check, cells=cells), (old, new)) for check in checks)
