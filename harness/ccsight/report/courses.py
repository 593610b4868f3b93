"""How a check went over time: what it said of the same machines and kernels, and where that changed.

A verdict that is another one on another kernel is a *change*. On the same kernel, by its build-id, it is
*flapping*, unless the emulator or our own programs are others, which is told apart. What was not observed is
no verdict.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from ccsight.evidence.record import Record
from ccsight.status import Status

_UNOBSERVED = frozenset({Status.MISS, Status.ERROR})
#: Why a verdict is another one.
FLAPPING = "flapping"
ANOTHER_KERNEL, ANOTHER_EMULATOR, OTHER_PROGRAMS = (
    "another kernel",
    "another emulator",
    "other programs of ours",
)


class Row(Record, frozen=True):
    """One judgement of one run; of a run that cannot be read only ``run`` and ``said``.

    ``build_ids`` are of the kernels that ran, by their Image where a check is about coming up at all;
    ``emulators`` and ``programs`` are what else had a part in it. ``said`` is the worst finding, or why there
    is no verdict.
    """

    run: str
    status: Status
    said: str
    date: str = ""
    machines: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    build_ids: tuple[str, ...] = ()
    emulators: tuple[str, ...] = ()
    programs: str = ""
    outcome: str = ""

    @property
    def word(self) -> str:
        """The verdict: a comparison's outcome, else the status."""
        return self.outcome or self.status

    @property
    def is_damaged(self) -> bool:
        """True for a run that cannot be read."""
        return not self.machines


class Change(Record, frozen=True):
    """Two verdicts in a row that are not the same, and what else is not: ``flapping`` where nothing is."""

    before: str
    after: str
    words: tuple[str, str]
    why: str


class Course(Record, frozen=True):
    """The rows of the same machines and kernel specs. ``first_bad`` is the first run that failed, or "".

    ``last_good`` is the last one before that which passed.
    """

    machines: tuple[str, ...]
    kernels: tuple[str, ...]
    rows: tuple[Row, ...]
    changes: tuple[Change, ...]
    first_bad: str
    last_good: str


class Flap(Record, frozen=True):
    """The same kernels on the same machines with several verdicts; ``why`` as that of a change."""

    machines: tuple[str, ...]
    build_ids: tuple[str, ...]
    verdicts: dict[str, tuple[str, ...]]
    why: str


def courses(rows: Iterable[Row]) -> tuple[Course, ...]:
    """Return rows, which come oldest first, by what they are of."""
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Row]] = {}
    for row in rows:
        if not row.is_damaged:
            groups.setdefault((row.machines, row.kernels), []).append(row)
    return tuple(_course(*key, group) for key, group in groups.items())


def _course(machines: tuple[str, ...], kernels: tuple[str, ...], rows: list[Row]) -> Course:
    verdicts = [row for row in rows if row.status not in _UNOBSERVED]
    bad = next((number for number, row in enumerate(verdicts) if row.status is Status.FAIL), len(verdicts))
    good = [row.run for row in verdicts[:bad] if row.status is Status.PASS]
    failed = bad < len(verdicts)
    return Course(
        machines=machines,
        kernels=kernels,
        rows=tuple(rows),
        changes=tuple(
            Change(before=old.run, after=new.run, words=(old.word, new.word), why=_why(old, new))
            for old, new in pairwise(verdicts)
            if old.word != new.word
        ),
        first_bad=verdicts[bad].run if failed else "",
        last_good=good[-1] if failed and good else "",
    )


def flaps(rows: Iterable[Row]) -> tuple[Flap, ...]:
    """Return the kernels that got several verdicts on the same machines, whatever they were called."""
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Row]] = {}
    for row in rows:
        if row.status not in _UNOBSERVED and all(row.build_ids):
            groups.setdefault((row.machines, row.build_ids), []).append(row)
    return tuple(_flap(*key, group) for key, group in groups.items() if len({row.word for row in group}) > 1)


def _flap(machines: tuple[str, ...], build_ids: tuple[str, ...], rows: Sequence[Row]) -> Flap:
    verdicts: dict[str, tuple[str, ...]] = {}
    alike: dict[tuple[tuple[str, ...], str], set[str]] = {}
    for row in rows:
        verdicts[row.word] = (*verdicts.get(row.word, ()), row.run)
        alike.setdefault((row.emulators, row.programs), set()).add(row.word)
    why = FLAPPING
    if all(len(words) == 1 for words in alike.values()):
        why = ANOTHER_EMULATOR if len({emulators for emulators, _ in alike}) > 1 else OTHER_PROGRAMS
    return Flap(machines=machines, build_ids=build_ids, verdicts=verdicts, why=why)


def _why(one: Row, other: Row) -> str:
    """Say what besides the verdict is different."""
    if one.build_ids != other.build_ids:
        return ANOTHER_KERNEL
    if one.emulators != other.emulators:
        return ANOTHER_EMULATOR
    return OTHER_PROGRAMS if one.programs != other.programs else FLAPPING
