"""A run as a mail to a kernel list has it: plain ASCII of at most 76 columns, and nothing that is private."""

from collections.abc import Iterator
from dataclasses import dataclass

from ccsight.evidence.cases import Case
from ccsight.evidence.model import Capture, Substrate
from ccsight.report.discretion import Discretion
from ccsight.report.folding import command, folded, plain
from ccsight.report.migrations import ACROSS, ROLL_BACK, UPGRADE
from ccsight.report.model import Result
from ccsight.report.remedies import advice
from ccsight.report.wording import (
    SUBJECTS,
    Counts,
    behaviours,
    compares_kernels,
    failing,
    finding_line,
    gathered,
    in_order,
    meaning,
    same_code,
    title,
    unexplained,
    version,
    where,
)
from ccsight.status import Status

#: Columns of the word of a comparison, and of its subject.
_WORD, _SUBJECT = 13, 13
#: Sentences of a comparison, findings of a failing law, and lines of each, that a mail has room for.
_SENTENCES, _FINDINGS, _LINES = 4, 2, 2
#: Reasons for which something was not observed.
_REASONS = 12
#: What a mail is asked first: the columns of its table.
_ASKED = ("CR-009", UPGRADE, ROLL_BACK)


@dataclass(frozen=True)
class _Row:
    """A row of a table: what it begins with, below which it does not go on, and what it says."""

    head: str
    said: str


_Line = str | _Row


def text(result: Result, discretion: Discretion) -> str:
    """Return a run as a mail; what it must not say is ``discretion``'s."""
    parts = [_opening(result), _kernels(result), _machines(result), _table(result), _laws(result)]
    parts += [_comparisons(result, machine) for machine in result.plan.machines]
    parts += [_crossings(result), _unobserved(result)]
    said = [part for lines in parts for line in lines for part in _fit(line, discretion)]
    again = [plain(word) for word in discretion.command(result.plan.argv)]
    return "\n".join((*said, "Again:", *command(again))) + "\n"


def _fit(line: _Line, discretion: Discretion) -> list[str]:
    """Return a line as lines of a mail. What is indented goes on further in, and so does a law that fails."""
    if isinstance(line, _Row):
        return folded((line.head + plain(discretion.text(line.said))).rstrip(), len(line.head))
    said = line.lstrip(" ")
    indent = len(line) - len(said)
    hang = indent + 2 if indent or said.startswith("FAIL") else 0
    return folded((" " * indent + plain(discretion.text(said))).rstrip(), hang)


def _opening(result: Result) -> Iterator[_Line]:
    plan = result.plan
    what = "and what becomes of VMs that move" if _moves(result) else "from inside and from the VMM"
    yield (
        f"Measured with ccsight {plan.ccsight} on {plan.created[:10]}: what KVM/arm64 guests see of the "
        f"CPU's caches, {what}."
    )
    yield ""


def _moves(result: Result) -> bool:
    return any(case.check in (ROLL_BACK, ACROSS) for case in result.cases)


def _kernels(result: Result) -> Iterator[_Line]:
    yield "Kernels:"
    for kernel in result.plan.kernels:
        shows = " / ".join(each.title for each in behaviours(result, kernel)) or "was never observed"
        release = "" if kernel.release in kernel.label else f"  {version(kernel)}"
        yield f"  {kernel.label}{release}"
        yield f"    {shows}"
    if same_code(result.plan):
        yield "  They run the same code: their sources differ in nothing that is built."
    yield ""


def _machines(result: Result) -> Iterator[_Line]:
    yield "Machines:"
    for machine in result.plan.machines:
        seen = (result.capture(machine, kernel.spec) for kernel in result.plan.kernels)
        made = dict.fromkeys(_made_of(capture) for capture in seen if capture)
        yield f"  {machine}"
        yield from (f"    {said}" for said in made or ["was never observed"])
    yield ""


def _made_of(capture: Capture) -> str:
    """Say what a machine is made of, as it was observed, and which of its registers somebody made up."""
    facts = capture.machine
    if facts.substrate is Substrate.UNKNOWN:
        said = "nobody knows of what it is made, so it is not taken for metal"
    else:
        said = facts.substrate.value
    said += f", {facts.emulator.partition(' (')[0]}" if facts.emulator else ""  # behind it: which package
    if facts.declared:
        values = " and ".join(dict.fromkeys(row.values for row in facts.declared))
        said += f"; its CPUs' cache registers are those of a table ({values})"
    return said


def _laws(result: Result) -> Iterator[_Line]:
    counts = Counts.of(result.cases)
    words = [f"{counts.passed} pass", f"{counts.failed} fail", f"{counts.done} measured"]
    words += [f"{counts.missing} not observed", f"{counts.skipped} not applicable"]
    yield f"Judgements: {', '.join(words)}."
    for case in failing(result):
        yield ""
        yield f"FAIL {case.check} {title(case.check)}: {where(result, case)}"
        yield from _held(case)
    yield ""


def _held(case: Case) -> Iterator[str]:
    """Yield what is held against a kernel, each in at most two lines."""
    found = gathered(unexplained(case))
    for finding in found[:_FINDINGS]:
        yield _brief(f"  {finding_line(finding)}")
    if len(found) > _FINDINGS:
        yield f"  and {len(found) - _FINDINGS} more"


def _brief(line: str) -> str:
    """Return as much of a line as two lines of a mail hold."""
    most = _LINES * 70
    return line if len(line) <= most else f"{line[: most - 4]} ..."


def _table(result: Result) -> Iterator[_Line]:
    """Yield the word of each comparison that readers ask for first, a row a machine and pair of kernels."""
    pairs: dict[tuple[str, ...], dict[str, str]] = {}
    for case in result.cases:
        if case.check in _ASKED and compares_kernels(case):
            pairs.setdefault(case.cells, {})[case.check] = case.outcome or case.status
    if not pairs:
        return
    one = len({_kernels_of(result, cells) for cells in pairs}) == 1
    kernels = _kernels_of(result, next(iter(pairs))) if one else ""
    yield _Row("  " + "".join(f"{SUBJECTS[check]:<{_WORD}}" for check in _ASKED), kernels)
    for cells, words in pairs.items():
        head = "".join(f"{words.get(check, '-'):<{_WORD}}" for check in _ASKED)
        yield _Row(f"  {head}", result.cell(cells[0]).machine if one else _pair(result, cells))
    yield ""


def _pair(result: Result, cells: tuple[str, ...]) -> str:
    """Return a machine and what its kernels are called: ``emulated:max, deb:6.1 -> deb:6.12``."""
    return f"{result.cell(cells[0]).machine}, {_kernels_of(result, cells)}"


def _kernels_of(result: Result, cells: tuple[str, ...]) -> str:
    return " -> ".join(result.plan.label(result.cell(cell).kernel) for cell in cells)


def _comparisons(result: Result, machine: str) -> Iterator[_Line]:
    """Yield what each comparison of a machine's kernels found; one that was not made has another place."""
    pairs: dict[tuple[str, ...], list[Case]] = {}
    for case in result.cases_of(machine):
        if compares_kernels(case) and case.status is Status.DONE:
            pairs.setdefault(case.cells, []).append(case)
    for cells, cases in pairs.items():
        yield f"{_pair(result, cells)}:"
        for case in in_order(cases):
            subject = SUBJECTS.get(case.check, case.check)
            yield from _rows(f"{subject:<{_SUBJECT}}{case.outcome}", meaning(case))
        yield ""
    yield from _remedies(result, machine)


def _remedies(result: Result, machine: str) -> Iterator[_Line]:
    """Yield what was measured to mend a roll-back that is refused; the command is one to paste."""
    for each in advice(result, machine):
        yield f"What of the way back ({each.source} -> {each.destination}) can be mended:"
        yield from ([f"  {each.command}"] if each.command else [])
        yield f"  {each.said}"
        yield ""


def _rows(head: str, said: tuple[str, ...]) -> Iterator[_Line]:
    """Yield what a comparison found, a row for each sentence, beside its subject and word."""
    more = (f"and {len(said) - _SENTENCES} more",) if len(said) > _SENTENCES else ()
    for number, sentence in enumerate((*said[:_SENTENCES], *more)):
        yield _Row(f"  {'' if number else head:<{_SUBJECT + _WORD}}", sentence)


def _crossings(result: Result) -> Iterator[_Line]:
    cases = [case for case in result.cases if case.check == ACROSS]
    if not cases:
        return
    yield "VMs that move between machines:"
    yield from (_Row(f"  {case.outcome or case.status:<{_WORD}}", where(result, case)) for case in cases)
    yield ""


def _unobserved(result: Result) -> Iterator[_Line]:
    """Yield what was not observed, each reason once: cells, programs, and then judgements."""
    reasons: dict[str, dict[str, None]] = {}
    lost = {cell.id for machine in result.plan.machines for cell, _ in result.unobserved(machine)}
    for machine in result.plan.machines:
        for cell, failure in result.unobserved(machine):
            reasons.setdefault(failure.fact, {})[f"{cell.machine}, {result.plan.label(cell.kernel)}"] = None
        for cell, program, failure in result.incomplete(machine):
            name = f"{program} on {cell.machine}, {result.plan.label(cell.kernel)}"
            reasons.setdefault(failure.fact, {})[name] = None
    for case in result.cases:
        if case.status in (Status.MISS, Status.ERROR) and not lost.intersection(case.cells):
            reasons.setdefault(case.reason, {})[f"{case.check} on {where(result, case)}"] = None
    if not reasons:
        return
    yield "Not observed, so nothing is said of it:"
    for reason, places in list(reasons.items())[:_REASONS]:
        first, *others = places
        more = f" and {len(others)} more" if others else ""
        yield _brief(f"  {first}{more}: {reason}")
    if len(reasons) > _REASONS:
        yield f"  and {len(reasons) - _REASONS} more reasons"
    yield ""
