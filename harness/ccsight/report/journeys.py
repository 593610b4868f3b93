"""VMs that move between the kernels of a machine, on a terminal page: who takes them, what would help."""

from collections.abc import Iterator
from itertools import groupby

from ccsight.report.blocks import Block, Line, Spans, Tone, grid, line, spans
from ccsight.report.capability import capability
from ccsight.report.migrations import Journey
from ccsight.report.migrations import journeys as every
from ccsight.report.model import Result
from ccsight.report.remedies import Advice, advice


def journeys(result: Result, machine: str) -> Iterator[Block]:
    """Yield what becomes of VMs on each way, by outcome and VMM; and what mends a way back."""
    found = every(result, machine)
    if not found:
        return
    yield Line()
    yield line(("  VMs that move", Tone.DIM))
    for way, group in groupby(found, key=lambda journey: journey.way):
        yield line("    ", way)
        yield grid([row for journey in group for row in _rows(journey)], indent=6, fixed=2)
    for said in capability(result, machine):
        yield line("    ", (said, Tone.DIM))
    yield from _remedy(advice(result, machine))


def _rows(journey: Journey) -> Iterator[tuple[Spans, ...]]:
    """Yield a row for each outcome of a way to launch a VM: worst first, with the VMMs that it is of."""
    vmms: dict[tuple[str, str], list[str]] = {}
    for name, (outcome, _, tone) in zip(journey.moved.outcomes, journey.cells, strict=True):
        vmms.setdefault((outcome.upper(), tone.upper()), []).append(name)
    for number, ((word, tone), names) in enumerate(vmms.items()):
        said = ", ".join(names) if len(vmms) > 1 else "every VMM"
        yield spans("" if number else journey.how), spans((word, Tone[tone])), spans((said, Tone.DIM))


def _remedy(found: tuple[Advice, ...]) -> Iterator[Block]:
    """Yield a line for each way to mend a roll-back; with the way itself, where there are several."""
    several = len({(each.source, each.destination) for each in found}) > 1
    for number, each in enumerate(found):
        yield from () if number else [Line()]
        way = f"{each.source} → {each.destination}  " if several else ""
        head = ("  remedy  " if number == 0 or several else "          ", Tone.GOOD)
        if way or each.command:
            yield line(head, (way, Tone.DIM), (each.command, Tone.STRONG))
            head = ("          ", Tone.PLAIN)
        yield grid([(spans(head), spans(each.said))], indent=0)
