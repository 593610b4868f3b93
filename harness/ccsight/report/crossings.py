"""VMs that move between machines, on a terminal page: each way, who takes them there, what is in the way."""

from collections.abc import Iterator
from itertools import groupby

from ccsight.checks.hurdles import Hurdles, hurdles
from ccsight.evidence.cases import Case
from ccsight.report.blocks import Block, Flow, Line, Spans, Tone, grid, line, spans
from ccsight.report.migrations import ACROSS, Journey, of_case
from ccsight.report.model import Result
from ccsight.report.wording import QUIET
from ccsight.status import Status

#: The same of several launches: in which words, and with which outcomes and hurdles.
_Same = tuple[tuple[tuple[str, str, str], ...], Hurdles]


def crossings(result: Result) -> Iterator[Block]:
    """Yield what becomes of VMs that leave their machine, by the cell that they leave; else nothing."""
    cases = [case for case in result.cases if case.check == ACROSS]
    if not cases:
        return
    yield line(("VMs that move between machines", Tone.STRONG))
    for source, ways in groupby(cases, key=lambda case: case.cells[0]):
        yield line("  ", ("from ", Tone.DIM), _name(result, source))
        for case in ways:
            yield from _way(result, case)
    yield Line()


def _way(result: Result, case: Case) -> Iterator[Block]:
    word = (case.outcome or case.status).upper()
    tone = Tone.GOOD if case.outcome in QUIET else Tone.CAUTION
    tone = tone if case.status is Status.DONE else Tone.BAD
    yield Flow((spans(("    → ", Tone.DIM), _name(result, case.cells[1])), spans((word, tone))), hang=6)
    if case.status is not Status.DONE:
        yield grid([(spans(case.reason),)], indent=6, fixed=0)
        return
    for how, same in _gathered(of_case(result, case)):
        yield from _launched(how, same)


def _gathered(found: tuple[Journey, ...]) -> Iterator[tuple[str, _Same]]:
    """Yield what becomes of VMs, once for all launches that come to the same."""
    launches: dict[_Same, list[str]] = {}
    for journey in found:
        vmms: dict[tuple[str, str], list[str]] = {}
        for name, (outcome, _, tone) in zip(journey.moved.outcomes, journey.cells, strict=True):
            vmms.setdefault((outcome, tone), []).append(name)
        many = len(vmms) > 1
        words = tuple((*of, ", ".join(names) if many else "every VMM") for of, names in vmms.items())
        launches.setdefault((words, hurdles(journey.moved)), []).append(journey.how)
    for same, hows in launches.items():
        yield ", and ".join(hows), same


def _launched(how: str, same: _Same) -> Iterator[Block]:
    outcomes, in_the_way = same
    yield line("      ", (how, Tone.DIM))
    rows: list[tuple[Spans, Spans]] = [
        (spans((outcome, Tone[tone.upper()])), spans(("with ", Tone.DIM), vmms))
        for outcome, tone, vmms in outcomes
    ]
    for of, said in (("caches", in_the_way.caches), ("all else", in_the_way.others)):
        rows.append((spans((of, Tone.DIM)), spans(said or ("nothing is in the way", Tone.DIM))))
    yield grid(rows, indent=8)


def _name(result: Result, cell_id: str) -> str:
    return result.plan.title(result.cell(cell_id))
