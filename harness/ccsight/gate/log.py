"""What a run itself made of its evidence, case by case: nothing rests on it, but it must not contradict.

A capture may have been altered since; then the log still has what was seen. Where that lacks a planned case,
the run was killed, or the log cut off.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from ccsight.evidence.cases import Case, PlannedCase
from ccsight.evidence.record import from_json
from ccsight.evidence.run import Run
from ccsight.status import Status

_LOST = (Status.MISS, Status.ERROR)


@dataclass(frozen=True)
class Log:
    """The last word on each case, how many lines say nothing, and what was planned, by its last cell."""

    rows: Mapping[str, tuple[Status, str]]
    unread: int
    planned: Mapping[str, list[PlannedCase]]

    def denies(self, case: Case) -> str:
        """Say how a case ended in the run itself, if otherwise; what was missed then may have come later."""
        status, outcome = self.rows.get(case.key, (Status.MISS, ""))
        if status in _LOST or case.status in _LOST or (status, outcome) == (case.status, case.outcome):
            return ""
        return f"{case.key} is {case.outcome or case.status}, the log has {outcome or status}"

    def lacks(self, case: Case) -> bool:
        """Tell whether a planned case has no row."""
        planned = self.planned.get(case.cells[-1], [])
        return case.key not in self.rows and any(each.key == case.key for each in planned)


def read_log(run: Run) -> Log:
    """Return a run's log."""
    planned: dict[str, list[PlannedCase]] = {}
    for each in run.plan.cases:
        planned.setdefault(each.cells[-1], []).append(each)
    try:
        lines = (run.folder / "cases.jsonl").read_bytes().splitlines()
    except OSError:
        lines = []
    rows: dict[str, tuple[Status, str]] = {}
    unread = 0
    for line in filter(bytes.strip, lines):
        try:
            case = from_json(line, Case)
        except (msgspec.MsgspecError, ValueError):
            unread += 1
        else:
            rows[case.key] = (case.status, case.outcome)
    return Log(rows, unread, planned)
