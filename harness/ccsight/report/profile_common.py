"""What ``ccsight profile common`` prints: what a fleet has in common, who takes it, and the proof."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ccsight.arm64.registers import in_short
from ccsight.checks.profile_common import MOVE
from ccsight.evidence.cases import Case
from ccsight.evidence.model import SCHEMA
from ccsight.evidence.profile import Shown
from ccsight.evidence.record import Hex, to_json
from ccsight.evidence.views import Cell
from ccsight.kvm.fleet import Common, Host, Note, Refused, native_refusals, refusals_of
from ccsight.report.blocks import Block, Line, Page, Spans, Tone, grid, line, spans
from ccsight.report.profiles import answers
from ccsight.status import ExitCode, Status, exit_code


@dataclass(frozen=True)
class Taken:
    """What a machine refuses of the values since v6.11, by rule; and how many of them it does up to v6.2."""

    refused: tuple[Refused, ...]
    native: int


def taken(shown: Shown, hosts: Iterable[Host]) -> dict[str, Taken]:
    """Return what each machine would refuse, by its name."""
    return {host.name: Taken(refusals_of(shown, host), len(native_refusals(shown, host))) for host in hosts}


def code(found: Mapping[str, Taken], cases: Sequence[Case]) -> ExitCode:
    """Return the exit status: by what was seen, where there is a proof, else by what is known."""
    if cases:
        return exit_code(case.status for case in cases)
    return ExitCode.FAIL if any(each.refused for each in found.values()) else ExitCode.OK


def page(common: Common, found: Mapping[str, Taken]) -> Page:
    """Return what a fleet has in common, why it is no more, and which machine takes it with which kernels."""
    shown = common.shown
    values = [(spans(name), spans(f"{value:#x}")) for name, value in shown.readings().items()]
    values.append((spans("ID_AA64MMFR2_EL1.CCIDX"), spans(f"{shown.ccidx:#x}")))
    blocks: list[Block] = [grid(values)]
    if common.notes:
        blocks += [Line(), line(("not the same everywhere", Tone.STRONG)), grid(map(_note_row, common.notes))]
    blocks += [Line(), grid([_taken(name, each) for name, each in found.items()], fixed=1)]
    for name, taken in found.items():
        for each in taken.refused:
            blocks.append(line((f"  {name} refuses {each.reading}: {each.why} ({each.source})", Tone.BAD)))
    return tuple(blocks)


def _note_row(note: Note) -> tuple[Spans, ...]:
    return spans(note.place), spans(note.chosen), spans(note.why), spans((note.source, Tone.DIM))


def _taken(name: str, found: Taken) -> tuple[Spans, ...]:
    new = "refused since v6.11" if found.refused else "taken since v6.11"
    old = f"up to v6.2 {found.native} values are not its own" if found.native else "its own up to v6.2"
    return (
        spans((name, Tone.STRONG)),
        spans((new, Tone.BAD if found.refused else Tone.GOOD)),
        spans((old, Tone.CAUTION if found.native else Tone.GOOD)),
    )


def document(common: Common, found: Mapping[str, Taken], cases: Sequence[Case]) -> bytes:
    """Return the same as JSON, with the proof where there is one."""
    values = {**common.shown.readings(), "ID_AA64MMFR2_EL1.CCIDX": Hex(common.shown.ccidx)}
    machines = {
        name: {"refused": list(each.refused), "not_its_own_up_to_v6_2": each.native}
        for name, each in found.items()
    }
    told = {"schema": SCHEMA, "registers": values, "notes": list(common.notes), "machines": machines}
    proof = {"cases": list(cases), "exit_code": int(code(found, cases))} if cases else {}
    return to_json(told | proof)


def proof_page(cases: Sequence[Case], cells: Sequence[Cell]) -> Page:
    """Return who took and showed the values, then each way between cells: what its caches became.

    What was refused and is not about caches stands in one line below its way.
    """
    launches = [case for case in cases if case.check != MOVE]
    ways = [case for case in cases if case.check == MOVE]
    blocks: list[Block] = [Line(), *answers(launches, cells)]
    blocks += [Line(), line(("VMs that move, as far as their caches go", Tone.STRONG))] if ways else []
    for case in ways:
        blocks += _way(case, {cell.id: cell.title for cell in cells})
    return tuple(blocks)


def _way(case: Case, titles: Mapping[str, str]) -> Iterator[Block]:
    tone = {Status.PASS: Tone.GOOD, Status.FAIL: Tone.BAD}.get(case.status, Tone.CAUTION)
    way = " → ".join(titles[cell] for cell in case.cells)
    yield line((f"{case.status:<5}", tone), f" {way}  ", (case.outcome.upper(), tone))
    if case.reason:
        yield line((f"      {case.reason}", Tone.DIM))
    rows = [("", [each for each in case.findings if not each.known])]
    rows += [(why, [f for f in case.findings if f.known == why]) for why in dict.fromkeys(_known(case))]
    for why, found in rows:
        whole = {each.subject for each in found}
        fields = {f.subject: f.said for f in found if f.subject.partition(".")[0] not in whole - {f.subject}}
        said = "; ".join(_by_what_was_said(fields))
        if said:
            yield grid([(spans((f"{why}: " if why else "", Tone.DIM), said),)], indent=6, fixed=0)


def _known(case: Case) -> Iterator[str]:
    yield from (finding.known for finding in case.findings if finding.known)


def _by_what_was_said(found: Mapping[str, str]) -> Iterator[str]:
    """Yield subjects that the same is said of together: ``MIDR_EL1, ID_AA64PFR0_EL1 EINVAL``."""
    for said in dict.fromkeys(found.values()):
        yield f"{in_short(subject for subject, words in found.items() if words == said)} {said}"
