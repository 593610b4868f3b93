"""The history of a check as a terminal page: a table for each course, what changed, what comes and goes."""

from collections.abc import Iterator

from ccsight.report.blocks import Block, Line, Page, Spans, Tone, grid, line, spans
from ccsight.report.courses import FLAPPING, Change, Course, Flap, Row
from ccsight.report.history import History
from ccsight.report.wording import QUIET
from ccsight.status import Status

_TONES = {
    Status.PASS: Tone.GOOD,
    Status.DONE: Tone.CAUTION,
    Status.SKIP: Tone.DIM,
}
#: Digits of a build-id, runs of a flap, and characters of what a run said.
_DIGITS, _RUNS, _BRIEF = 12, 3, 200


def render(found: History) -> Page:
    """Return the page of a history."""
    page: list[Block] = [line((f"{found.check} {found.title}", Tone.STRONG), f"    {_amount(found)}"), Line()]
    for course in found.courses:
        page += [*_course(course), Line()]
    for flap in found.flaps:
        page += [*_flap(flap), Line()]
    if found.damaged:
        page += [
            line(("runs that cannot be read", Tone.BAD)),
            grid([(spans(row.run), spans((row.status, Tone.BAD)), _said(row)) for row in found.damaged]),
        ]
    return tuple(page)


def _amount(found: History) -> str:
    asked = {row.run for course in found.courses for row in course.rows}
    said = f"asked in {len(asked)} of {found.runs} run{'s' * (found.runs != 1)}"
    return f"{said}, {len(found.damaged)} cannot be read" if found.damaged else said


def _course(course: Course) -> Iterator[Block]:
    yield line((_cells(course.machines, course.kernels), Tone.STRONG))
    yield grid([_row(row) for row in course.rows], fixed=3)
    if course.first_bad:
        since = f", the last good one {course.last_good}" if course.last_good else ", none before it is good"
        yield line("  first bad  ", (course.first_bad, Tone.BAD), since)
    for change in course.changes:
        yield line("  ", (_word(change), Tone.CAUTION), f"  {change.before} → {change.after}: {change.why}")


def _row(row: Row) -> tuple[Spans, ...]:
    tone = Tone.GOOD if row.outcome in QUIET else _TONES.get(row.status, Tone.BAD)
    date = row.date.replace("T", " ")[:16]
    return spans(row.run), spans((date, Tone.DIM)), spans((row.word, tone)), spans(_releases(row)), _said(row)


def _said(row: Row) -> Spans:
    return spans(row.said if len(row.said) <= _BRIEF else f"{row.said[:_BRIEF]} …")


def _flap(flap: Flap) -> Iterator[Block]:
    ids = " and ".join(build_id[:_DIGITS] for build_id in flap.build_ids)
    head = "flapping" if flap.why == FLAPPING else "not the same, on the same kernel"
    yield line((head, Tone.BAD), f"  {', '.join(flap.machines)}, build-id {ids}")
    for word, runs in flap.verdicts.items():
        more = f" and {len(runs) - _RUNS} more" if len(runs) > _RUNS else ""
        yield line("  ", (word, Tone.STRONG), f"  in {', '.join(runs[-_RUNS:])}{more}")
    if flap.why != FLAPPING:
        yield line("  with ", (flap.why, Tone.CAUTION))


def _word(change: Change) -> str:
    return " → ".join(change.words)


def _cells(machines: tuple[str, ...], kernels: tuple[str, ...]) -> str:
    return f"{' and '.join(machines)}, {' → '.join(dict.fromkeys(kernels))}"


def _releases(row: Row) -> str:
    return " → ".join(dict.fromkeys(row.releases))
