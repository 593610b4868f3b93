"""A run, or two captures, as a terminal page: what failed, then a table and sentences for each machine."""

import shlex
from collections.abc import Iterator, Sequence

from ccsight.arm64.registers import in_short
from ccsight.evidence.bundle import origin
from ccsight.evidence.cases import Case, PlannedCase
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import Capture
from ccsight.evidence.plan import Plan
from ccsight.evidence.views import Cell
from ccsight.kvm.behaviour import observed
from ccsight.report import console, cpus
from ccsight.report.blocks import Block, Flow, Grid, Line, Page, Span, Spans, Tone, grid, line, spans
from ccsight.report.crossings import crossings
from ccsight.report.journeys import journeys
from ccsight.report.linux import linux_rows, lscpu_texts
from ccsight.report.migrations import boots
from ccsight.report.model import Result
from ccsight.report.rows import Row, Shown, machine_rows
from ccsight.report.wording import (
    QUIET,
    SUBJECTS,
    Counts,
    Known,
    behaviours,
    bug_class,
    compares_kernels,
    failing,
    gathered,
    in_order,
    known,
    meaning,
    same_code,
    title,
    unexplained,
    version,
    where,
)
from ccsight.status import Status

_AGES = ("old", "new")


def announce(plan: Plan) -> None:
    """Say on stderr which run begins, and how to repeat it."""
    console.narrate(f"run {plan.id}    {_amount(plan.cells, plan.cases)}    again: {shlex.join(plan.argv)}")


def render_plan(cells: Sequence[Cell], cases: Sequence[PlannedCase]) -> Page:
    """Return the page of a plan: nothing of it has been done."""
    rows = [(spans(cell.machine), spans(cell.kernel)) for cell in cells]
    checks = dict.fromkeys(case.check for case in cases)
    return (
        line(f"would take {_amount(cells, cases)}", ("  (nothing was looked up or fetched)", Tone.DIM)),
        grid(rows),
        grid([(spans(check), spans(title(check))) for check in checks], fixed=1),
    )


def _amount(cells: Sequence[Cell], cases: Sequence[PlannedCase]) -> str:
    counts = (boots(cells, cases), "boot"), (len(cases), "judgement")
    return ", ".join(f"{number} {what}{'s' * (number != 1)}" for number, what in counts)


def render(result: Result, *, verbose: bool = False) -> Page:
    """Return the page of a run; ``verbose`` shows every field of every register."""
    page: list[Block] = [*_header(result), Line()]
    for case in failing(result):
        page += [*_failed(result, case), Line()]
    for machine in result.plan.machines:
        page += [*_machine(result, machine, verbose), Line()]
    page += crossings(result)
    page += _known(result)
    page += _footer(result)
    return tuple(page)


def render_diff(old: Capture, new: Capture, cases: Sequence[Case], *, verbose: bool = False) -> Page:
    """Return the page that compares two captures of any runs, machines and kernels; ``cases`` are of both."""
    rows = []
    for age, capture in zip(_AGES, (old, new), strict=True):
        names = spans(f"{capture.kernel.spec} on {capture.cell.machine}")
        rows.append(
            (spans((age, Tone.DIM)), names, spans(capture.kernel.release), spans(observed(capture).says))
        )
    lost = [
        block
        for age, capture in zip(_AGES, (old, new), strict=True)
        for program, failure in capture.failures.items()
        for block in _lost(f"{age}  {program}", failure)
    ]
    return (
        grid(rows, indent=0, fixed=2),
        Line(),
        *lost,
        _table((old, new), [f"{old.kernel.spec}", f"{new.kernel.spec}"], verbose),
        Line(),
        _comparisons(cases),
    )


def _header(result: Result) -> Iterator[Block]:
    plan = result.plan
    again = spans(("again: ", Tone.DIM), shlex.join(plan.argv))
    yield Flow((spans(("run ", Tone.DIM), (plan.id, Tone.STRONG)), again))
    rows = []
    for number, kernel in enumerate(plan.kernels):
        said = " / ".join(behaviour.title for behaviour in behaviours(result, kernel)) or "was never observed"
        age = _AGES[number] if len(plan.kernels) == len(_AGES) else ""
        rows.append(
            (spans((age, Tone.DIM)), spans((kernel.label, Tone.STRONG)), spans(version(kernel)), spans(said))
        )
    yield grid(rows, indent=0, fixed=3)
    if same_code(plan):
        yield line(
            ("both kernels run the same code: their sources differ in nothing that is built", Tone.CAUTION)
        )


def _failed(result: Result, case: Case) -> Iterator[Block]:
    yield Flow(
        (
            spans(("FAIL", Tone.BAD), f"  {case.check}  ", (title(case.check), Tone.STRONG)),
            spans(where(result, case)),
        ),
        hang=6,
    )
    rows = [
        (spans((finding.subject, Tone.BAD)), spans(finding.said), spans((finding.where, Tone.DIM)))
        for finding in gathered(unexplained(case))
    ]
    yield grid(rows, indent=6)
    yield line("      ", (bug_class(case.check), Tone.CAUTION))
    for cell in case.cells:
        yield line(("      evidence  ", Tone.DIM), str(result.evidence(result.cell(cell))))


def _machine(result: Result, machine: str, verbose: bool) -> Iterator[Block]:
    yield line((machine, Tone.STRONG))
    for cell, failure in result.unobserved(machine):
        yield from _lost(cell.kernel, failure)
    for cell, program, failure in result.incomplete(machine):
        yield from _lost(f"{cell.kernel}  {program}", failure)
    seen = [(kernel.label, result.capture(machine, kernel.spec)) for kernel in result.plan.kernels]
    present = [(label, capture) for label, capture in seen if capture]
    if present:
        yield _table([capture for _, capture in present], [label for label, _ in present], verbose)
        yield from _by_cpu(present)
        yield from _linux(present)
        yield from _lscpu(present) if verbose else ()
    if len(present) == len(seen):
        cases = in_order(case for case in result.cases_of(machine) if compares_kernels(case))
        measured = _comparisons(cases, _named(present))
        yield from (Line(), measured) if measured.rows else ()
        yield from journeys(result, machine)


def _lost(what: str, failure: Failure) -> Iterator[Block]:
    """Yield why a kernel, or a program on it, observed nothing: fact, evidence, next step."""
    yield line("  ", (failure.status, Tone.BAD), f"  {what}  ", (failure.fact, Tone.STRONG))
    for label, text in (("evidence", failure.evidence), ("next", failure.next_step)):
        for number, part in enumerate(text.splitlines()):
            yield line("        ", (f"{'' if number else label:<9} ", Tone.DIM), part)


def _table(captures: Sequence[Capture], heads: Sequence[str], verbose: bool) -> Grid:
    ages = _AGES if len(captures) == len(_AGES) else ("",) * len(captures)
    titles = [
        spans((f"{age} ", Tone.DIM), (head, Tone.STRONG)) for age, head in zip(ages, heads, strict=True)
    ]
    rows = [(spans(""), *titles)]
    rows += [_row(row) for row in machine_rows(captures, every=verbose)]
    return grid(rows)


def _named(present: Sequence[tuple[str, Capture]]) -> list[tuple[str, Capture]]:
    """Return captures by what a sentence calls them: old and new, where there are just two kernels."""
    names = _AGES if len(present) == len(_AGES) else [label for label, _ in present]
    return [(name, capture) for name, (_, capture) in zip(names, present, strict=True)]


def _by_cpu(present: Sequence[tuple[str, Capture]]) -> Iterator[Block]:
    """Yield what each group of CPUs shows, where they are not all alike."""
    groups = cpus.groups([capture for _, capture in present])
    if len(groups) < 2:
        return
    rows = [(spans(""), *(spans((group.label, Tone.STRONG)) for group in groups))]
    rows += [_row(row) for row in cpus.table(_named(present), groups)]
    yield Line()
    yield grid(rows)


def _linux(present: Sequence[tuple[str, Capture]]) -> Iterator[Block]:
    """Yield what Linux guests show of their caches, where any ran: a line for the way, then its vCPUs."""
    for name, capture in present:
        way = ""
        for row in linux_rows(capture):
            if not way:
                yield Line()
                yield line("  caches in a Linux guest's sysfs  ", (name, Tone.STRONG))
            if row.way != way:
                way = row.way
                yield line("    ", (way, Tone.DIM))
                yield line("      ", (row.told, Tone.DIM))
            shows = (row.shows, Tone.PLAIN if row.fits else Tone.CAUTION)
            yield grid([(spans(row.vcpus), spans(shows))], indent=6)


def _lscpu(present: Sequence[tuple[str, Capture]]) -> Iterator[Block]:
    """Yield what lscpu said in Linux guests."""
    for name, capture in present:
        for way, texts in lscpu_texts(capture):
            yield Line()
            yield line("  lscpu -C in a Linux guest  ", (name, Tone.STRONG), (f"  {way}", Tone.DIM))
            yield from (line("    ", text) for text in texts)


def _row(row: Row) -> tuple[Spans, ...]:
    label = spans(("  " * row.depth + row.label, Tone.DIM if row.depth else Tone.PLAIN))
    first, *others = row.sides
    changed = Tone.STRONG if row.changed else Tone.PLAIN
    return (label, _side(first, Tone.PLAIN), *(_side(side, changed) for side in others))


def _side(shown: Shown, tone: Tone) -> Spans:
    note = [
        ("  " if shown.value else "", Tone.PLAIN),
        (shown.note, Tone.CAUTION if shown.caution else Tone.DIM),
    ]
    return spans((shown.value, tone), *(note if shown.note else ()))


def _comparisons(cases: Sequence[Case], seen: Sequence[tuple[str, Capture]] = ()) -> Grid:
    rows: list[tuple[Spans, ...]] = []
    groups = cpus.groups([capture for _, capture in seen])
    if len(groups) > 1:
        for number, said in enumerate(cpus.sentences(seen, groups)):
            rows.append((spans("" if number else "CPUs"), spans(""), spans(said)))
    for case in cases:
        word = case.outcome or case.status
        tone = Tone.GOOD if case.outcome in QUIET else Tone.CAUTION
        tone = tone if case.status is Status.DONE else Tone.BAD
        heads = spans(SUBJECTS.get(case.check, case.check)), spans((word.upper(), tone))
        for number, said in enumerate(meaning(case)):
            rows.append((*(heads if not number else (spans(""), spans(""))), spans(said)))
    return grid(rows, fixed=2)


def _known(result: Result) -> Iterator[Block]:
    """Yield the known deviations, briefly: each reason once, with everything it was seen of."""
    reasons: dict[tuple[str, str], list[Known]] = {}
    for row in known(result):
        reasons.setdefault((row.check, row.why), []).append(row)
    if not reasons:
        return
    yield line(("known, and not held against a kernel", Tone.DIM))
    rows = []
    for (check, why), found in sorted(reasons.items(), key=lambda reason: reason[0][0]):
        names = in_short(sorted({name for row in found for name in row.subjects}, key=_by_index))
        said = f"{names} of {_places([row.cell for row in found], result.plan)}: {why}"
        rows.append((spans((check, Tone.DIM)), spans((said, Tone.DIM))))
    yield grid(rows)
    yield Line()


def _places(cells: Sequence[Cell], plan: Plan) -> str:
    """Return cells in short: ``deb:6.1 on emulated:cortex-a57, emulated:neoverse-n1``."""
    machines: dict[str, list[str]] = {}
    for cell in cells:
        machines.setdefault(cell.kernel, []).append(cell.machine)
    every = len(plan.machines) if len(plan.machines) > 1 else None
    return "; ".join(
        f"{plan.label(kernel)} on {'every machine' if len(found) == every else ', '.join(found)}"
        for kernel, found in machines.items()
    )


def _by_index(name: str) -> tuple[str, int]:
    base, _, index = name.partition("[")
    return base, int(index.rstrip("]") or -1) if index else -1


def _footer(result: Result) -> Iterator[Block]:
    counts, packed = Counts.of(result.cases), origin(result.folder)
    laws: list[str | Span | tuple[str, Tone]] = ["laws ", (f"{counts.passed} pass", Tone.GOOD)]
    for number, word in ((counts.failed, "fail"), (counts.missing, "missing")):
        laws.append((f"  {number} {word}", Tone.BAD if number else Tone.DIM))
    laws += [(f"  {counts.skipped} skipped", Tone.DIM)] if counts.skipped else []
    yield Flow(
        (
            spans(*laws),
            *([spans(f"comparisons {counts.done} done")] if len(result.plan.kernels) > 1 else []),
            *([] if packed else [spans(("report ", Tone.DIM), str(result.folder / "report.html"))]),
            spans(("details ", Tone.DIM), f"ccsight show {packed or result.folder} -v"),
        )
    )
