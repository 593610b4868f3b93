"""What one check says of a machine, as a page tells it: sentences, values before and after, taken apart.

Nothing of it names the machine, so that what many machines show alike is told once.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from msgspec import structs

from ccsight.arm64.caches import Layout
from ccsight.arm64.registers import REGISTERS, base_name, in_short
from ccsight.checks.migration import Moved
from ccsight.evidence.cases import Case, Finding
from ccsight.kvm.vmms import VMMS
from ccsight.report.decoded import FieldRow, decode_reading
from ccsight.report.migrations import Journey
from ccsight.report.wording import bug_class, meaning, measures, title

#: How many rows are told; who wants all of them looks into the run.
_MOST = 40
#: Findings of a comparison that its sentences have said already.
_SAID = frozenset({"guest", *(vmm.name for vmm in VMMS)})


@dataclass(frozen=True)
class Point:
    """What findings alike say: of which subjects, with which values, and what the values' fields say."""

    subject: str
    said: str
    before: str
    after: str
    where: str
    known: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Passage:
    """How VMs were launched, and what becomes of them with each VMM: outcome, reason, tone."""

    way: str
    how: str
    vmms: tuple[str, ...]
    cells: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Telling:
    """All that a check says. ``sides`` head the values of points, ``left_out`` is how many more there are."""

    check: str
    title: str
    bug_class: str
    word: str
    sentences: tuple[str, ...]
    sides: tuple[str, str]
    points: tuple[Point, ...]
    left_out: int
    passages: tuple[Passage, ...]


def telling(case: Case, layout: Layout, passages: tuple[Passage, ...] = ()) -> Telling:
    """Return what a case says; ``layout`` is that of the sizes on the new kernel."""
    compared = measures(case)
    sentences = meaning(case) if compared else tuple(filter(None, (case.reason,)))
    said = _SAID if compared else frozenset()
    points = tuple(_points((each for each in case.findings if each.subject not in said), layout))
    return Telling(
        check=case.check,
        title=title(case.check),
        bug_class=bug_class(case.check),
        word=case.outcome or str(case.status),
        sentences=sentences,
        sides=("before", "after") if compared else ("one side", "the other"),
        points=points[:_MOST],
        left_out=len(points[_MOST:]),
        passages=passages,
    )


def passages(source: str, destination: str, found: Iterable[Moved]) -> tuple[Passage, ...]:
    """Return the table of what becomes of VMs that go from one kernel to another on the same machine."""
    journeys = (Journey(source, destination, moved, ("", "")) for moved in found)
    return tuple(
        Passage(
            journey.way,
            journey.how,
            tuple(journey.moved.outcomes),
            tuple((str(outcome), why, tone) for outcome, why, tone in journey.cells),
        )
        for journey in journeys
    )


def _points(findings: Iterable[Finding], layout: Layout) -> Iterator[Point]:
    """Yield what findings say, those that say the same of the same values as one."""
    places: dict[Finding, dict[str, None]] = {}
    for finding in findings:
        places.setdefault(structs.replace(finding, where=""), {})[finding.where] = None
    subjects: dict[Point, list[str]] = {}
    for finding, found in places.items():
        subjects.setdefault(_point(finding, ", ".join(filter(None, found)), layout), []).append(
            finding.subject
        )
    for point, names in subjects.items():
        yield replace(point, subject=in_short(names))


def _point(finding: Finding, where: str, layout: Layout) -> Point:
    """Return what a finding says, of no subject yet; its values are not said twice."""
    pair = f"{finding.before} → {finding.after}"
    return Point(
        subject="",
        said="" if finding.said == pair else finding.said,
        before=finding.before,
        after=finding.after,
        where=where,
        known=finding.known,
        fields=tuple(_apart(finding, layout)),
    )


def _apart(finding: Finding, layout: Layout) -> Iterator[str]:
    """Yield the fields in which two values of a register differ, in words."""
    before, after = (_fields(finding.subject, text, layout) for text in (finding.before, finding.after))
    for one, other in zip(before, after, strict=False):
        if one.name == other.name and one.number != other.number:
            yield f"{one.name} {one.words or one.number} → {other.words or other.number}"


def _fields(subject: str, text: str, layout: Layout) -> tuple[FieldRow, ...]:
    """Return the fields of a value as findings spell it; none of what is no value of a known register."""
    if base_name(subject) not in REGISTERS or not text.startswith("0x"):
        return ()
    try:
        value = int(text, 16)
        decoded = decode_reading(subject, value, layout) if value < 1 << 64 else None
    except ValueError:
        return ()
    return decoded.rows if decoded else ()
