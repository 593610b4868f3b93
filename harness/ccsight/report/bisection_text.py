"""What came of a bisection, in words: a page for a terminal, a text for a mail, a log for git."""

import shlex
from collections.abc import Iterator, Sequence

from ccsight.evidence.bisection import Order, Role, Step, Verdict
from ccsight.report.bisection import PROOF, Outcome, Story, Suspect, Word, name, telling
from ccsight.report.blocks import Line, Page, Tone, line
from ccsight.report.folding import command, folded

#: Suspects of a range that are named one by one.
_SHOWN = 20


def page(story: Story) -> Page:
    """Return what came of a bisection for a terminal."""
    return tuple(_toned(text) for text in _body(story))


def _toned(text: str) -> Line:
    tone = Tone.STRONG if text.startswith(("first bad", "not found")) else Tone.PLAIN
    return line((text, tone))


def mail(story: Story) -> str:
    """Return the same as a text that a mail can quote: no line is longer than 76 columns."""
    lines = [*_body(story), "", "Steps:", *_steps(story), "", "Again:"]
    rows = [part for text in lines for part in folded(text)]
    return "\n".join((*rows, *command(story.order.argv))) + "\n"


def _steps(story: Story) -> Iterator[str]:
    for step in story.steps:
        if step.verdict is not Verdict.INFRA and step.role not in PROOF:
            why = f" ({step.why})" if step.verdict is Verdict.SKIP else " (flaky)" if step.flaky else ""
            yield f"  {step.verdict:<5} {name(step)}{why}"


def _body(story: Story) -> Iterator[str]:
    outcome, order = story.outcome, story.order
    if outcome.word is Word.FOUND:
        (found,) = outcome.suspects
        yield f"first bad  {found.cited}"
        yield from _facts(found)
    elif outcome.word is Word.AMONG:
        yield f"not found: it is one of these {len(outcome.suspects)}; all but the last cannot be tried"
        yield from (f"  {each.cited}" for each in outcome.suspects[:_SHOWN])
        yield from ["  …"] * (len(outcome.suspects) > _SHOWN)
    else:
        yield f"not found: it came with no commit of {' '.join(order.paths)}"
    yield ""
    yield f"{'good' if outcome.good_is else 'bad'} where: {order.predicate}"
    yield from _values(story)
    yield from _proof(story) if outcome.word is Word.FOUND else ()
    yield from _trust(story)


def _facts(found: Suspect) -> Iterator[str]:
    if found.author:
        yield f"  {found.id}"
        yield f"  {found.author}  {found.date}"
    yield from (f"  {row}" for row in found.stat)


def _values(story: Story) -> Iterator[str]:
    """Say what was seen on both sides: of the proof where there is one, else of the ends."""
    for word, roles in (("before", (Role.PARENT, Role.GOOD_END)), ("after", (Role.COMMIT, Role.BAD_END))):
        seen = [step for role in roles for step in story.made_for(role) if step.looks]
        for look in telling(seen[0]) if seen else ():
            yield from (f"  {word:<6}  {look.machine}  {text}" for text in look.seen[:2])


def _proof(story: Story) -> Iterator[str]:
    yield ""
    yield "proof" if story.proven else "not proven"
    for step in (each for role in PROOF for each in story.made_for(role)):
        what = f"on top of {story.order.bad}" if step.role is Role.REVERT else name(step)
        yield f"  {step.verdict:<5} {step.role:<7} {what}{f': {step.why}' if step.why else ''}"
    reverts = story.made_for(Role.REVERT)
    if not reverts:
        yield "  no revert: there is nothing to take back"
    elif reverts[-1].verdict is Verdict.BAD:
        yield "  without it the bad end is as bad: another one does the same"


def _trust(story: Story) -> Iterator[str]:
    flaky = [step for step in story.steps if step.flaky]
    yield ""
    if story.outcome.confidence is None:
        yield "one boot a suspect: whether some answer now this way, now that, is not known (--repeat)"
        return
    repeat = story.order.repeat
    yield f"confidence {story.outcome.confidence:.1%}, of {repeat} boots a suspect on each machine"
    yield from (f"  flaky {name(step)}" for step in flaky)


def log(order: Order, steps: Sequence[Step], outcome: Outcome) -> str:
    """Return a bisection of commits as ``git bisect replay`` takes it."""
    paths = f" -- {shlex.join(order.paths)}" if order.paths else ""
    lines = [f"git bisect start{paths}"]
    for step in _in_order(steps):
        lines += [
            f"# {step.verdict}: [{step.suspect}] {step.title}",
            f"git bisect {step.verdict} {step.suspect}",
        ]
    if outcome.word is Word.AMONG:
        lines.append("# only skipped commits left to test")
    word = "first bad commit" if outcome.word is Word.FOUND else "possible first bad commit"
    lines += [f"# {word}: [{each.id}] {each.title}" for each in outcome.suspects]
    return "\n".join(lines) + "\n"


def _in_order(steps: Sequence[Step]) -> Iterator[Step]:
    """Yield the steps of the search, the bad end first, as git has it."""
    searched = [step for step in steps if step.role not in PROOF and step.verdict is not Verdict.INFRA]
    yield from sorted(searched, key=lambda step: (step.role is Role.STEP, step.role is Role.GOOD_END))
