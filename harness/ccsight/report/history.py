"""How one check went in every run that there is, oldest first.

Runs are read one at a time, and of each only the cells that the check looks at; one that cannot be read is a
row that says so.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from ccsight.checks import TRIALS, named
from ccsight.checks.verdict import judged
from ccsight.errors import CcsightError
from ccsight.evidence.boots import Boots
from ccsight.evidence.cases import Case, PlannedCase
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import SCHEMA, Capture
from ccsight.evidence.record import Record, to_json
from ccsight.evidence.run import Run, runs
from ccsight.evidence.views import Cell
from ccsight.report.courses import FLAPPING, Course, Flap, Row, courses, flaps
from ccsight.report.model import evidence_of
from ccsight.report.wording import headline, meaning, title
from ccsight.status import ExitCode, Status, exit_code

#: Evidence of cells that is kept for the next judgement of the same run: pairs share a cell.
_KEPT = 4


_Evidence = tuple[Capture | None, Failure | None, Boots | None]


class History(Record, frozen=True):
    """What ``show --history --json`` prints. ``runs`` counts all of them, also those that never asked."""

    schema: int
    check: str
    title: str
    runs: int
    courses: tuple[Course, ...]
    flaps: tuple[Flap, ...]
    damaged: tuple[Row, ...]
    exit_code: int


def history(results: Path, check: str, machines: Collection[str] = ()) -> History:
    """Return how a check went, on some machines or all. Raises UsageError for a check that there is not."""
    named(check)
    folders = runs(results)
    found = [row for folder in folders for row in _rows(folder, check, machines)]
    damaged = tuple(row for row in found if row.is_damaged)
    alike, flapping = courses(found), flaps(found)
    statuses = [course.rows[-1].status for course in alike]
    statuses += [Status.FAIL for flap in flapping if flap.why == FLAPPING and Status.FAIL in flap.verdicts]
    statuses += [Status.ERROR for row in damaged if row.run == folders[-1].name]
    return History(
        schema=SCHEMA,
        check=check,
        title=title(check),
        runs=len(folders),
        courses=alike,
        flaps=flapping,
        damaged=damaged,
        exit_code=exit_code(statuses),
    )


def document(found: History) -> bytes:
    """Return a history as JSON."""
    return to_json(found)


def ended(found: History) -> ExitCode:
    """Return what the shell gets: how the newest run of each course ended; 1 where a FAIL comes and goes."""
    return ExitCode(found.exit_code)


def _rows(folder: Path, check: str, machines: Collection[str]) -> Iterator[Row]:
    try:
        yield from tuple(_judged(Run.open(folder), check, machines))
    except CcsightError as error:
        said = ": ".join(filter(None, (error.fact, error.evidence)))
        yield Row(run=folder.name, status=Status.ERROR, said=said)


def _judged(run: Run, check: str, machines: Collection[str]) -> Iterator[Row]:
    cells = {cell.id: cell for cell in run.plan.cells}
    read = lru_cache(_KEPT)(lambda cell: evidence_of(run, cells[cell]))
    for planned in run.plan.cases:
        about = [cells[cell] for cell in planned.cells if cell in cells]
        is_meant = not machines or {cell.machine for cell in about}.intersection(machines)
        if planned.check == check and len(about) == len(planned.cells) and is_meant:
            yield _row(run, planned, about, [read(cell) for cell in planned.cells])


def _row(run: Run, planned: PlannedCase, cells: Sequence[Cell], evidence: Sequence[_Evidence]) -> Row:
    captures, failures, boots = (
        dict(zip(planned.cells, part, strict=True)) for part in zip(*evidence, strict=True)
    )
    case = judged(planned, captures, failures, boots)
    kernels = [kernel for cell in cells for kernel in run.plan.kernels if kernel.spec == cell.kernel]
    seen = [capture for capture, _, _ in evidence if capture]
    ids = [capture.kernel.build_id if capture else "" for capture, _, _ in evidence]
    images = [f"image {kernel.image_sha256}" for kernel in kernels]
    programs = sorted({each for capture in seen for each in capture.programs.items()})
    return Row(
        run=run.folder.name,
        date=run.plan.created,
        machines=tuple(dict.fromkeys(cell.machine for cell in cells)),
        kernels=tuple(cell.kernel for cell in cells),
        releases=tuple(kernel.release for kernel in kernels),
        build_ids=tuple(images if planned.check in TRIALS else ids),
        emulators=tuple(dict.fromkeys(capture.machine.emulator for capture in seen)),
        programs=sha256(repr(programs).encode()).hexdigest()[:12] if programs else "",
        status=case.status,
        outcome=case.outcome,
        said=_said(case),
    )


def _said(case: Case) -> str:
    if case.status is Status.PASS:
        return ""
    return meaning(case)[0] if case.status is Status.DONE else headline(case)
