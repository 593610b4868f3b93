"""What ``ccsight profile`` prints: profiles, guesses, how good they are, proofs."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from ccsight.arm64.registers import REGISTERS, base_name
from ccsight.evidence.cases import Case, Finding, PlannedCase
from ccsight.evidence.model import SCHEMA
from ccsight.evidence.profile import Profile, Shown
from ccsight.evidence.record import Hex, to_json
from ccsight.evidence.views import Cell
from ccsight.kvm.guess_trial import Score
from ccsight.kvm.guesses import Guess, Sure
from ccsight.report.blocks import Block, Line, Page, Spans, Tone, grid, line, spans
from ccsight.report.decoded import words
from ccsight.report.wording import gathered
from ccsight.status import Status, exit_code

_TONES = {Sure.KNOWN: Tone.GOOD, Sure.TABLE: Tone.PLAIN, Sure.INFERRED: Tone.CAUTION, Sure.UNKNOWN: Tone.BAD}
_QUESTIONS = {
    "profile-launch": "shows the profile's values",
    "profile-move": "moves unnoticed",
    "common-launch": "shows the common values",
}
_GOOD = {Status.PASS: Tone.GOOD, Status.FAIL: Tone.BAD}


def summary(profile: Profile) -> Page:
    """Return what a profile holds, in short."""
    page: list[Block] = [line((profile.machine, Tone.STRONG), f"  {profile.kernel}  {profile.release}")]
    for core in profile.cores:
        cpus = ", ".join(map(str, core.cpus))
        page.append(line(f"  {core.name}  MIDR_EL1 {core.midr:#x}  CPU {cpus}"))
        page.append(_registers(core.userspace, core.guest))
    return tuple(page)


def document(profile: Profile) -> bytes:
    """Return a profile as JSON: what userspace was told, and what the guest read, by register."""
    cores = [
        {
            "name": core.name,
            "midr": core.midr,
            "revidr": core.revidr,
            "cpus": list(core.cpus),
            "userspace": _values(core.userspace),
            "guest": _values(core.guest),
        }
        for core in profile.cores
    ]
    facts = ("kernel", "release", "build_id", "machine", "substrate", "emulator", "capture")
    return to_json({"schema": SCHEMA, **{name: getattr(profile, name) for name in facts}, "cores": cores})


def _values(shown: Shown) -> dict[str, Hex]:
    return shown.readings() | {"ID_AA64MMFR2_EL1.CCIDX": Hex(shown.ccidx)}


def _registers(told: Shown, seen: Shown) -> Block:
    heads = spans(), spans(("userspace", Tone.DIM)), spans(("guest", Tone.DIM))
    pairs: list[tuple[str, int, int]] = [
        (name, value, seen.readings()[name]) for name, value in told.readings().items()
    ]
    pairs.append(("ID_AA64MMFR2_EL1.CCIDX", told.ccidx, seen.ccidx))
    return grid([heads, *(_pair(*pair) for pair in pairs)], indent=4, fixed=3)


def _pair(name: str, told: int, seen: int) -> tuple[Spans, ...]:
    other = ("the same", Tone.DIM) if told == seen else (f"{seen:#x}", Tone.CAUTION)
    return spans(name), spans(f"{told:#x}"), spans(other)


def guesses(found: Mapping[str, Sequence[Guess]]) -> Page:
    """Return a page of guesses, by the CPU that they are about; fields that say the same are one row."""
    page: list[Block] = []
    for cpu, rows in found.items():
        page += [line((cpu, Tone.STRONG)), grid(_guess_rows(rows), fixed=3), Line()]
    return (*page, line(("what it needs: ccsight profile capture OLDKERNEL asks the old kernel", Tone.DIM)))


def _guess_rows(rows: Sequence[Guess]) -> Iterator[tuple[Spans, ...]]:
    for _, same in groupby(rows, key=_said):
        first, *others = same
        last = others[-1] if others else first
        name = first.place if last is first else f"{first.place}…{last.field}"
        yield (
            spans(name),
            spans(_number(first)),
            spans((first.sure, _TONES[first.sure])),
            spans((first.why, Tone.DIM)),
        )


def _said(each: Guess) -> tuple[object, ...]:
    """Return what makes two fields one row: all but the level."""
    return each.register, each.field.rstrip("1234567"), each.value, each.sure, each.why


def _number(each: Guess) -> str:
    if each.value is None:
        return "?"
    fields = {field.name: field for field in REGISTERS[base_name(each.register)].fields}
    field = fields.get(each.field)
    said = words(REGISTERS[base_name(each.register)], field, each.value << field.lo) if field else ""
    return f"{each.value} ({said})" if said else str(each.value)


def guesses_document(found: Mapping[str, Sequence[Guess]]) -> bytes:
    """Return guesses as JSON."""
    rows = {
        cpu: [{"field": each.place, "value": each.value, "sure": each.sure, "why": each.why} for each in rows]
        for cpu, rows in found.items()
    }
    return to_json({"schema": SCHEMA, "guesses": rows})


def score_page(alone: Sequence[Score], with_table: Sequence[Score], cores: int) -> Page:
    """Return how good the guesses are: without the silicon table, and with each core's own row in it."""
    helped = {score.field: score for score in with_table}
    heads = ("field", "right", "wrong", "unknown", "wrong on", "with its row: right", "wrong", "unknown")
    rows = [
        (
            spans(score.field),
            *(spans(str(number)) for number in (score.right, score.wrong, score.unknown)),
            spans((", ".join(score.wrong_on), Tone.CAUTION)),
            *(
                spans(str(number))
                for number in (
                    helped[score.field].right,
                    helped[score.field].wrong,
                    helped[score.field].unknown,
                )
            ),
        )
        for score in alone
    ]
    false = sorted({core for score in (*alone, *with_table) for core in score.wrong_but_known})
    claim = f"claimed to be known, and wrong: {', '.join(false) or 'none'}"
    return (
        line(f"{cores} cores of the silicon table, guessed from what sysfs and KVM would say"),
        grid([tuple(spans((head, Tone.DIM)) for head in heads), *rows], fixed=4),
        line((claim, Tone.BAD if false else Tone.GOOD)),
    )


def score_document(alone: Sequence[Score], with_table: Sequence[Score]) -> bytes:
    """Return the same as JSON."""
    return to_json({"schema": SCHEMA, "without_table": list(alone), "with_own_row": list(with_table)})


def plan_page(cells: Sequence[Cell], cases: Sequence[PlannedCase]) -> Page:
    """Return what a proof would take."""
    order = [cell.id for cell in cells]
    moves = [tuple(map(order.index, case.cells)) for case in cases if len(case.cells) > 1]
    boots = len(cells) + len({destination for source, destination in moves if destination < source})
    known = {cell.id: cell for cell in cells}
    rows = [
        (spans(_machine(case, known)), spans(_QUESTIONS[case.check]), spans(_kernels(case, known)))
        for case in cases
    ]
    amount = f"{boots} boot{'s' * (boots != 1)}"
    return (line(f"would take {amount}", ("  (nothing was looked up or fetched)", Tone.DIM)), grid(rows))


def plan_document(cells: Sequence[Cell], cases: Sequence[PlannedCase]) -> bytes:
    """Return the same as JSON."""
    return to_json({"schema": SCHEMA, "cells": list(cells), "cases": list(cases)})


def answers(cases: Sequence[Case], cells: Sequence[Cell] = ()) -> Page:
    """Return the answers to the questions about a profile, by machine, each with what speaks against it."""
    known = {cell.id: cell for cell in cells}
    page: list[Block] = []
    for machine, group in groupby(cases, key=lambda case: _machine(case, known)):
        page += [Line()] if page else []
        page += [line((machine, Tone.STRONG))] if machine else []
        for case in group:
            page += _answer(case, known)
    return tuple(page)


def _machine(case: Case | PlannedCase, known: Mapping[str, Cell]) -> str:
    return " → ".join(dict.fromkeys(known[cell].machine for cell in case.cells if cell in known))


def _answer(case: Case, known: Mapping[str, Cell]) -> Iterator[Block]:
    tone = _GOOD.get(case.status, Tone.CAUTION)
    outcome = f"  {case.outcome}" if case.outcome else ""
    said = f"{_QUESTIONS[case.check]}{outcome}  {_kernels(case, known)}"
    yield line((f"{case.status:<5}", tone), f" {said}")
    if case.reason:
        yield line((f"      {case.reason}", Tone.DIM))
    rows = [_finding(finding) for finding in gathered(case.findings)]
    if rows:
        yield grid(rows, indent=6, fixed=0)


def _kernels(case: Case | PlannedCase, known: Mapping[str, Cell]) -> str:
    return " → ".join(known[cell].kernel if cell in known else cell for cell in case.cells)


def _finding(finding: Finding) -> tuple[Spans, ...]:
    """Return a finding as one text: what it is about may be longer than a line."""
    where = (f"  ({finding.where})", Tone.DIM)
    return (spans(f"{finding.subject}: {finding.said}", *([where] if finding.where else [])),)


def proof_document(cases: Sequence[Case]) -> bytes:
    """Return the same as JSON."""
    code = exit_code(case.status for case in cases)
    return to_json({"schema": SCHEMA, "cases": list(cases), "exit_code": int(code)})
