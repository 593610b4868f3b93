"""What machines of the inventory can be used for, as a page and as JSON."""

from collections.abc import Iterator, Sequence

from ccsight.evidence.model import SCHEMA
from ccsight.evidence.record import to_json
from ccsight.machines.abilities import Ability, Word
from ccsight.machines.checking import Checked
from ccsight.report.blocks import Block, Line, Page, Spans, Tone, grid, line, spans

_TONES = {Word.YES: Tone.GOOD, Word.NO: Tone.PLAIN, Word.UNKNOWN: Tone.CAUTION}


def document(found: Sequence[Checked]) -> bytes:
    """Return what ``ccsight machines check --json`` prints."""
    rows = [{"name": each.name, "usable": each.usable, "abilities": list(each.abilities)} for each in found]
    return to_json({"schema": SCHEMA, "machines": rows})


def page(found: Sequence[Checked], file: str) -> Page:
    """Return the page of ``ccsight machines check``."""
    if not found:
        return (line(f"there is no machine in {file}"), line("ccsight machines add HOST"))
    return tuple(block for each in found for block in _machine(each))


def _machine(checked: Checked) -> Iterator[Block]:
    word = ("can be captured", Tone.GOOD) if checked.usable else ("cannot be captured", Tone.BAD)
    yield line((checked.name, Tone.STRONG), "  ", word)
    yield grid([row for ability in checked.abilities for row in _rows(ability)], fixed=2)
    for ability in checked.abilities:  # lines, which are never wrapped: some are there to be copied
        for number, text in enumerate(ability.next_step.splitlines()):
            head, subject = ("", "") if number else ("next", f"{ability.name}: ")
            yield line((f"  {head:6}", Tone.DIM), subject + text)
    yield Line()


def _rows(ability: Ability) -> Iterator[tuple[Spans, ...]]:
    tone = Tone.BAD if ability.needed and ability.word is not Word.YES else _TONES[ability.word]
    name = f"{ability.name}{' *' if ability.needed else ''}"
    first, *rest = ability.why.splitlines() or [""]
    yield spans(name), spans((ability.word, tone)), spans(first)
    for text in rest:
        yield spans(""), spans(""), spans(text)
