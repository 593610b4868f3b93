"""A gate's decision, on a terminal and for the summary of a job in Markdown."""

from collections.abc import Iterator

from ccsight.evidence.decision import Decision, Kind, Reason, Tally, Verdict
from ccsight.evidence.record import to_json
from ccsight.report.blocks import Flow, Line, Page, Span, Tone, grid, line, spans
from ccsight.report.printable import printable

_TONES = {Verdict.ADVANCE: Tone.GOOD, Verdict.HOLD: Tone.CAUTION, Verdict.REVERT: Tone.BAD}
#: What a tally is called, where its kind does not say it.
TALLIES = {
    Kind.LAW: "laws",
    Kind.ROLLBACK: "roll-back",
    Kind.CROSSING: "between machines",
    Kind.REGISTERS: "register lists",
    Kind.BASELINE: "as in their baselines",
}
#: How many members of the fleet, and places, a line names.
_MOST = 4
#: What Markdown would take for markup.
_MARKUP = str.maketrans({char: f"\\{char}" for char in "\\`*_{}[]<>()#+-!|~"} | {"&": "&amp;"})


def document(decision: Decision) -> bytes:
    """Return a decision as JSON."""
    return to_json(decision)


def render(decision: Decision, *, verbose: bool = False) -> Page:
    """Return the page: the decision, why, and of how much of the fleet; ``verbose`` names every place."""
    page: list[Line | Flow] = [line((decision.verdict, _TONES[decision.verdict]))]
    rows = []
    for number, reason in enumerate(decision.reasons, 1):
        tone = Tone.BAD if reason.verdict is Verdict.REVERT else Tone.PLAIN
        said = spans((of_machines(reason), tone), (f"    {reason.check}" if reason.check else "", Tone.DIM))
        rows.append((spans((f"{number:>3}", Tone.DIM)), said))
        places = reason.evidence if verbose else reason.evidence[:1]
        rows += [(spans(""), spans(("evidence  ", Tone.DIM), place.file)) for place in places]
        if reason.next_step:
            rows.append((spans(""), spans(("next      ", Tone.DIM), reason.next_step)))
    waived = [(spans(("waived", Tone.DIM)), spans((said, Tone.DIM))) for said in _waived(decision)]
    notes = [(spans(("note", Tone.DIM)), spans((said, Tone.DIM))) for said in decision.notes]
    tallies = Flow(tuple(_tally(tally) for tally in decision.tallies))
    said_below = [*rows, *waived, *notes]
    return (*page, *([grid(said_below, indent=0)] if said_below else []), tallies)


def of_machines(reason: Reason) -> str:
    """Return a reason with the members of the fleet that it is of."""
    if not reason.machines:
        return reason.said
    more = f" and {len(reason.machines) - _MOST} more" if len(reason.machines) > _MOST else ""
    return f"{', '.join(reason.machines[:_MOST])}{more}: {reason.said}"


def _tally(tally: Tally) -> tuple[Span, ...]:
    tone = Tone.GOOD if tally.met == tally.of else Tone.BAD
    return spans((f"{TALLIES.get(tally.kind, tally.kind)} ", Tone.DIM), (f"{tally.met} of {tally.of}", tone))


def _waived(decision: Decision) -> Iterator[str]:
    for each in decision.waived:
        where = f"{each.check} on {each.machine}"
        yield f"{where}: {each.said} ({each.waiver} until {each.expires}, {each.owner}: {each.reason})"


def markdown(decision: Decision) -> bytes:
    """Return the decision for the summary of a job: a heading, a table of reasons, the tallies."""
    lines = [
        f"## {decision.verdict}: {_plain(decision.old.name)} → {_plain(decision.new.name)}",
        "",
        ", ".join(
            f"{TALLIES.get(each.kind, each.kind)} {each.met} of {each.of}" for each in decision.tallies
        ),
        "",
    ]
    if decision.reasons:
        lines += ["| | why | check | evidence | next |", "|---|---|---|---|---|"]
    for reason in decision.reasons:
        place = reason.evidence[0].file if reason.evidence else ""
        cells = (reason.verdict, of_machines(reason), reason.check, place, reason.next_step)
        lines.append(f"| {' | '.join(map(_plain, cells))} |")
    lines += [f"\n*waived:* {_plain(said)}" for said in _waived(decision)]
    lines += [f"\n*note:* {_plain(said)}" for said in decision.notes]
    return ("\n".join(lines) + "\n").encode()


def _plain(text: str) -> str:
    return printable(text).translate(_MARKUP)
