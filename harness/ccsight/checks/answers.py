"""What a capture answers to a predicate: yes, no, or that nobody observed it; and the evidence in words.

Kleene's logic: what was not observed decides nothing, and is never good. Each question is answered by one
function of ``_ANSWERS``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ccsight.checks import reading
from ccsight.checks.console import hushed
from ccsight.checks.fields import differences
from ccsight.checks.migration import moves
from ccsight.checks.predicates import Predicate
from ccsight.checks.questions import (
    THIS,
    Alike,
    Answer,
    Both,
    Either,
    Moves,
    Not,
    Passes,
    Prints,
    Question,
    Reads,
    Same,
)
from ccsight.checks.registry import NotObserved, judge
from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.model import Capture
from ccsight.kvm.vmms import Outcome
from ccsight.status import Status

__all__ = ["Answer", "Subject", "ask"]


@dataclass(frozen=True)
class Subject:
    """What is asked: a capture, the text of its console, captures of other kernels by spec, and of files."""

    capture: Capture
    console: str = ""
    sources: Mapping[str, Capture] = field(default_factory=dict)
    files: Mapping[str, Capture] = field(default_factory=dict)


def ask(predicate: Predicate, subject: Subject) -> Answer:
    """Return what a capture answers."""
    answer = _answer(predicate.tree, subject)
    if answer.truth is not None:
        return answer
    programs = predicate.programs
    lost = (
        f"{program}: {failure.fact}"
        for program, failure in subject.capture.failures.items()
        if not programs or program in programs
    )
    return Answer(None, tuple(dict.fromkeys([*answer.seen, *lost])))


def _answer(question: Question, subject: Subject) -> Answer:
    match question:
        case Not():
            return _denied(question, subject)
        case Both() | Either():
            return _decided(question.of, subject, by=isinstance(question, Either))
        case Reads():
            return reading.reads(question, subject.capture)
        case Alike():
            return reading.alike(question, subject.capture)
        case _:
            return _of_more_than_readings(question, subject)


def _of_more_than_readings(question: Question, subject: Subject) -> Answer:
    match question:
        case Passes():
            return _passes(question, subject.capture)
        case Moves():
            return _moves(question, subject)
        case Same():
            return _same(question, subject)
        case Prints():
            return _prints(question, subject)
        case _:
            raise TypeError(f"nobody answers a {type(question).__name__}")


def _denied(question: Not, subject: Subject) -> Answer:
    answer = _answer(question.of, subject)
    return Answer(None if answer.truth is None else not answer.truth, answer.seen)


def _decided(parts: Iterable[Question], subject: Subject, *, by: bool) -> Answer:
    """Return the answer of many: one that is ``by`` decides, then one that was not observed, then none."""
    answers = [_answer(part, subject) for part in parts]
    for truth in (by, None):
        deciding = [answer for answer in answers if answer.truth is truth]
        if deciding:
            return Answer(truth, _once(seen for answer in deciding for seen in answer.seen))
    return Answer(not by, _once(seen for answer in answers for seen in answer.seen))


def _once(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


def _passes(question: Passes, capture: Capture) -> Answer:
    case = judge(PlannedCase(check=question.check, cells=(capture.cell.id,)), (capture,))
    if case.status is Status.FAIL:
        found = [finding for finding in case.findings if not finding.known]
        words = (
            f"{question.check} FAIL: {finding.subject}{f' ({finding.where})' if finding.where else ''}: "
            f"{finding.said}"
            for finding in found
        )
        return Answer(False, _once(words))
    if case.status is Status.PASS:
        return Answer(True, (f"{question.check} PASS",))
    return Answer(None, (f"{question.check} {case.status}: {case.reason}",))


def _moves(question: Moves, subject: Subject) -> Answer:
    other = subject.sources.get(question.kernel)
    if other is None:
        return Answer(None, (f"there is no capture of {question.kernel} on {subject.capture.cell.machine}",))
    if other.cell == subject.capture.cell:
        return Answer(None, (f"this is {question.kernel} itself: check CR-006 is about VMs that stay",))
    ends = (subject.capture, other) if question.source == THIS else (other, subject.capture)
    try:
        found = [moved for moved in moves(*ends) if question.strategy in ("", moved.strategy)]
    except NotObserved as error:
        return Answer(None, (error.fact,))
    order = list(Outcome)
    rows = [
        (outcome, moved.how, why, vmm)
        for moved in found
        for vmm, (outcome, why) in moved.outcomes.items()
        if question.vmm in ("", vmm)
    ]
    if not rows:
        return Answer(None, (f"no VM was moved so: {question.subject}",))
    order = list(Outcome)
    worst = min((outcome for outcome, *_ in rows), key=order.index)
    reached = order.index(worst) >= order.index(question.outcome)
    told: dict[tuple[str, str], list[str]] = {}
    for outcome, how, why, vmm in rows:
        if outcome is worst:
            told.setdefault((how, why), []).append(vmm)
    seen = (
        f"{worst}, {how}, with {', '.join(vmms)}{f': {why}' if why else ''}"
        for (how, why), vmms in told.items()
    )
    return Answer(reached if question.at_worst else worst is question.outcome, tuple(seen))


def _same(question: Same, subject: Subject) -> Answer:
    other = subject.files.get(question.file)
    if other is None:
        return Answer(None, (f"{question.file} was not read",))
    views, others = (
        {(view.vantage, view.vcpu): view for view in each.launch} for each in (subject.capture, other)
    )
    told = [
        f"{key[0]}.{finding.subject} {finding.said} (vCPU {key[1]}; {question.file} has the first)"
        for key in views
        if key in others
        for finding in differences(others[key], views[key])
    ]
    if told:
        return Answer(False, tuple(told))
    lacking = sorted(f"{vantage}, vCPU {vcpu}" for vantage, vcpu in views.keys() ^ others.keys())
    if lacking or not views:
        return Answer(None, (f"only one of both captures has {'; '.join(lacking) or 'a launch'}",))
    count = sum(len(view.readings) for view in views.values())
    return Answer(True, (f"all {count} readings of the launch are those of {question.file}",))


def _prints(question: Prints, subject: Subject) -> Answer:
    lines = subject.console.splitlines()
    found = (
        f"console line {number}: {line.strip()}"
        for number, line in enumerate(lines, 1)
        if question.text in line
    )
    first = next(found, "")
    if first:
        return Answer(True, (first,))
    if not subject.console.strip():
        return Answer(None, ("there is no console to look at",))
    word = hushed(subject.capture)
    if word:
        return Answer(None, (f"the console does not show all: {word} on the kernel's command line",))
    return Answer(False, (f"none of the console's {len(lines)} lines has {question.text!r}",))
