"""Histories with a fault in them, from a seed: which commit changes what, and what a search must find.

Pure: nothing here writes a repository; ``history.planned`` does.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dag import ancestors
from history_faults import NEW, OLD, TROUBLES, UAO, Edit, Fault, Trouble, harmless, lasting

#: Commits after the import, at least 24.
COUNT = 64
#: Where the fault is: within a time when kernels cannot be asked, right before or behind it, or anywhere.
WHERE = ("anywhere", "within", "before", "behind")


@dataclass(frozen=True)
class Change:
    """A commit to be. ``back`` says how far before it its parents stand, ``series`` whose tree it is.

    Without ``asked``, its kernel cannot be asked. ``anew`` is the commit at which the whole tree becomes that
    of its series.
    """

    subject: str
    edits: tuple[Edit, ...] = ()
    back: tuple[int, ...] = (1,)
    series: str = NEW
    asked: bool = True
    faulty: bool = False
    anew: bool = False


@dataclass(frozen=True)
class Plan:
    """A history, oldest commit first; the first one is the import."""

    fault: Fault
    changes: tuple[Change, ...]
    parents: tuple[tuple[int, ...], ...] = field(init=False)

    def __post_init__(self) -> None:
        found = [tuple(at - back for back in change.back) for at, change in enumerate(self.changes)]
        object.__setattr__(self, "parents", ((), *found[1:]))

    @property
    def culprit(self) -> int:
        """The commit with the fault."""
        return next(at for at, change in enumerate(self.changes) if change.faulty)

    @property
    def answer(self) -> frozenset[int]:
        """The smallest range that any search can come to: what no commit that can be asked rules out."""
        before = [ancestors(self.parents, at) for at in range(len(self.changes))]
        left = set(before[-1])
        for at, change in enumerate(self.changes):
            if change.asked:
                left = left & before[at] if self.culprit in before[at] else left - before[at]
        return frozenset(left)

    def edits(self, commit: int) -> tuple[Edit, ...]:
        """Return all changes that a commit's tree has on top of what its series was imported with."""
        start = max(at for at in range(commit + 1) if at == 0 or self.changes[at].anew)
        own = [at for at in sorted(ancestors(self.parents, commit)) if at >= start]
        return tuple(edit for at in own for edit in self.changes[at].edits)


def near(seed: int, fault: Fault, count: int = COUNT) -> Plan:
    """Return a history of one series: so many commits, two merges, and some kernels that cannot be asked.

    These lie where halving is likely to look: in the middle and near the quarters.
    """
    chance = random.Random(seed)
    where = WHERE[(seed + seed // len(WHERE)) % len(WHERE)]
    troubles = chance.sample(TROUBLES, len(TROUBLES))
    blocks = [_block(trouble, number) for number, trouble in enumerate(troubles)]
    culprit = Change(fault.subject, (fault.edits[NEW],), faulty=True)
    fillers = [[culprit]] if where == "anywhere" else []
    if where != "anywhere":
        hit = chance.randrange(len(blocks))
        blocks[hit] = _with(blocks[hit], culprit, where)
    fillers += [_merge(chance, 100 * number) for number in (1, 2)]
    rest = count - sum(map(len, (*blocks, *fillers)))
    fillers += [[_harmless(chance, 1000 + number)] for number in range(rest)]
    chance.shuffle(fillers)
    targets = [count // 2, count // 4 + chance.randrange(-1, 2), 3 * count // 4 + chance.randrange(-1, 2)]
    return Plan(fault, (Change("import"), *_laid_out(blocks, targets, fillers)))


def _laid_out(
    blocks: Sequence[list[Change]], targets: Sequence[int], fillers: list[list[Change]]
) -> list[Change]:
    """Return one row, with each block at its target or, where a merge is in the way, right before it."""
    row: list[Change] = []
    for target, block in sorted(zip(targets, blocks, strict=True), key=lambda pair: pair[0]):
        while len(row) + len(fillers[-1]) < target:
            row += fillers.pop()
        row += block
    return [*row, *(change for filler in fillers for change in filler)]


def _block(trouble: Trouble, number: int) -> list[Change]:
    """Return a change that is in the way, what follows while it is, and its mending."""
    begun = Change(f"a change that {trouble.name}", (trouble.edit,), asked=False)
    more = []
    for later in range(1, trouble.lasts):
        subject, edit = lasting(10 * number + later)
        more.append(Change(subject, (edit,), asked=False))
    return [begun, *more, Change(f"mend what {trouble.name}", (trouble.edit.undone,))]


def _with(block: list[Change], culprit: Change, where: str) -> list[Change]:
    if where == "within":
        return [block[0], replace(culprit, asked=False), *block[1:]]
    return [culprit, *block] if where == "before" else [*block, culprit]


def _merge(chance: random.Random, number: int) -> list[Change]:
    """Return two commits, two beside them, and their merge."""
    one, two, three, four = (_harmless(chance, number + each) for each in range(4))
    merge = Change(f"Merge branch 'notes-{number}'", back=(1, 3))
    return [one, two, replace(three, back=(3,)), four, merge]


def _harmless(chance: random.Random, number: int, series: str = NEW) -> Change:
    subject, edit = chance.choice(harmless(number))
    return Change(subject, (edit,), series=series)


def far(seed: int, fault: Fault = UAO, each: int = 3) -> Plan:
    """Return a history of two series: some commits, then all becomes that of the newer one, and some more.

    A fault that came before that is in the newer one as well.
    """
    chance = random.Random(seed)
    place = chance.randrange(2 * each)
    rows = [
        [_harmless(chance, 10 * half + number, series) for number in range(each)]
        for half, series in enumerate((OLD, NEW))
    ]
    half, number = divmod(place, each)
    series = (OLD, NEW)[half]
    rows[half][number] = Change(fault.subject, (fault.edits[series],), series=series, faulty=True)
    carried = (fault.edits[NEW],) if series == OLD else ()
    jump = Change(f"Become {NEW}", carried, series=NEW, anew=True)
    return Plan(fault, (Change("import", series=OLD), *rows[0], jump, *rows[1]))
