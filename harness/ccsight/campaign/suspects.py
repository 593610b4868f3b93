"""What a bisection searches: commits between two of a repository, or kernels in a row (``rows``)."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Protocol

from ccsight import specs
from ccsight.arm64.suggest import nearest
from ccsight.campaign.rows import Row, Series
from ccsight.deadline import Deadline
from ccsight.errors import UsageError
from ccsight.evidence.bisection import Order, Role, Step
from ccsight.kernels import built, git_ref, versions
from ccsight.kernels import spec as kernel_specs
from ccsight.kernels.history import SHORT, Commit, History
from ccsight.kernels.parts import parts
from ccsight.specs import Spec
from ccsight.toolbox.tools import Report

#: Seconds for a question to git; a whole kernel history is walked in far fewer.
GIT_SECONDS = 300.0


class Suspects(Protocol):
    """All that may have brought the fault. ``first`` and ``last`` are the good and the bad end."""

    @property
    def built_here(self) -> bool:
        """Whether a build comes before a boot."""
        ...

    @property
    def first(self) -> str:
        """The good end, which is no suspect."""
        ...

    @property
    def last(self) -> str:
        """The bad end."""
        ...

    def left(self, good: Sequence[str], bad: str) -> tuple[str, ...]:
        """Return what ``bad`` has before it, and no good one has: the one that halves them best first."""
        ...

    def row(self, good: Sequence[str], bad: str) -> tuple[str, ...]:
        """Return the same, oldest first."""
        ...

    def spec(self, suspect: str) -> str:
        """Return the kernel spec of a suspect."""
        ...

    def short(self, suspect: str) -> str:
        """Return a name for files and narrow columns."""
        ...

    def title(self, suspect: str) -> str:
        """Return what a suspect is about, "" where its name says all."""
        ...

    def before(self, suspect: str) -> tuple[str, ...]:
        """Return what came directly before a suspect; of a merge, each of its sides."""
        ...

    def without(self, suspect: str) -> str | None:
        """Return the spec of the bad end without a suspect; None where there is no such thing."""
        ...


@dataclass(frozen=True)
class Commits:
    """The commits of a repository, or those that touch some paths. ``like`` has the options of all specs."""

    history: History
    like: Spec
    first: str
    last: str
    built_here: bool = True

    def left(self, good: Sequence[str], bad: str) -> tuple[str, ...]:
        """See :class:`Suspects`."""
        return self.history.between(good, bad, Deadline(GIT_SECONDS))

    def row(self, good: Sequence[str], bad: str) -> tuple[str, ...]:
        """See :class:`Suspects`."""
        return self.history.row(good, bad, Deadline(GIT_SECONDS))

    def touching(self, paths: tuple[str, ...]) -> "Commits":
        """Return those that touch some paths."""
        return replace(self, history=replace(self.history, paths=paths))

    def spec(self, suspect: str) -> str:
        """Return ``git:PATH,ref=COMMIT`` with the options that both ends have."""
        options = (("ref", suspect), *self.like.options)
        return specs.render("git", self.like.value, options)

    def short(self, suspect: str) -> str:
        """Return the commit's id as it is cited."""
        return suspect[:SHORT]

    def title(self, suspect: str) -> str:
        """Return the commit's subject."""
        return self.commit(suspect).subject

    def commit(self, suspect: str) -> Commit:
        """Return what the commit says of itself."""
        return _commit(self.history, suspect)

    def before(self, suspect: str) -> tuple[str, ...]:
        """Return the commit's parents."""
        return self.commit(suspect).parents

    def without(self, suspect: str) -> str | None:
        """Return the bad end with the commit reverted; whether that can be done is for its build to say."""
        return specs.render(
            "git", self.like.value, (("ref", self.last), *self.like.options, ("revert", suspect))
        )


@cache
def _commit(history: History, suspect: str) -> Commit:
    return history.commit(suspect, Deadline(GIT_SECONDS))


def between(good: str, bad: str, paths: tuple[str, ...], report: Report) -> Commits | Row | Series:
    """Return what lies between two ends. Raises UsageError for ends that have no such thing."""
    first, last = kernel_specs.parse(good), kernel_specs.parse(bad)
    if added := _added(first, last):
        return _series(first, added, paths)
    kinds = {first.kind, last.kind}
    if kinds not in ({"git"}, {"deb"}):
        raise UsageError(
            f"nothing is known to lie between {good} and {bad}",
            next_step="two git:PATH,ref=REF of one repository; two deb:SERIES[=VERSION]; K and K,patch=FILE",
        )
    if _options(first) != _options(last):
        raise UsageError(
            "the ends differ in more than what is searched",
            evidence=f"good  {first.text}\nbad   {last.text}",
            next_step="give both the same options: they go to every step",
        )
    if kinds == {"git"}:
        return _commits(first, last, paths, report)
    if paths:
        raise UsageError(
            f"paths are for commits, and {good} is a package",
            evidence=" ".join(paths),
            next_step="leave them out, or name two commits: git:PATH,ref=REF",
        )
    return _versions(first, last, report)


def _added(good: Spec, bad: Spec) -> tuple[tuple[str, str], ...]:
    """Return what the bad end has in addition, where it is the good one and more; else nothing."""
    old, new = (tuple(option for option in spec.options if option[0] != "name") for spec in (good, bad))
    same = (good.kind, good.value) == (bad.kind, bad.value) and new[: len(old)] == old
    return new[len(old) :] if same else ()


def _series(good: Spec, added: tuple[tuple[str, str], ...], paths: tuple[str, ...]) -> Series:
    if good.kind == "tree":
        raise UsageError(
            f"{good.text} may change while it is bisected",
            next_step=f"commit it, and give both ends as git:{good.value},ref=COMMIT",
        )
    if paths:
        raise UsageError(f"paths are for commits: {' '.join(paths)}", next_step="leave them out")
    like = specs.Spec(good.text, good.kind, good.value, tuple(o for o in good.options if o[0] != "name"))
    return Series(like, tuple(part for option in added for part in parts(option)))


def likely(suspects: Commits | Row | Series, ends: Sequence[Step]) -> Commits | None:
    """Return the commits that touch what was built at the ends; None where that is all, or not known.

    A file that only other kernels read may be missing: so these are where to look first.
    """
    if not isinstance(suspects, Commits) or suspects.history.paths:
        return None
    pins = {step.pin for step in ends if step.role in (Role.GOOD_END, Role.BAD_END)}
    read = {path for pin in pins for path in _reads(pin)}
    return suspects.touching(tuple(sorted(read))) if read else None


def _reads(pin: str) -> tuple[str, ...]:
    """Return what a kernel of the store was made of; nothing for one that is gone, or of an old ccsight."""
    try:
        return built.reads(kernel_specs.resolve(pin, Deadline(GIT_SECONDS), lambda _: None))
    except UsageError:
        return ()


def _options(spec: Spec) -> tuple[tuple[str, str], ...]:
    return tuple(option for option in spec.options if option[0] not in ("ref", "name"))


def _commits(good: Spec, bad: Spec, paths: tuple[str, ...], report: Report) -> Commits:
    deadline = Deadline(GIT_SECONDS)
    ends = [git_ref.resolve(spec, deadline, report) for spec in (good, bad)]
    places = {Path(spec.value) for spec in (good, bad)}
    if len(places) > 1 and len({git_ref.common(place, deadline) for place in places}) > 1:
        raise UsageError(
            f"{good.value} and {bad.value} are two repositories", next_step="fetch one from the other"
        )
    first, last = (dict(end.provenance)["commit"] for end in ends)
    history = History(Path(good.value).expanduser().absolute(), paths)
    _prove_order(history, (first, last), (good, bad))
    like = specs.Spec(good.text, good.kind, good.value, _options(good))
    return Commits(history, like, first, last)


def _prove_order(history: History, commits: tuple[str, str], ends: tuple[Spec, Spec]) -> None:
    """Raise UsageError unless the good end is in the history of the bad one."""
    deadline = Deadline(GIT_SECONDS)
    first, last = commits
    if first == last:
        raise UsageError(
            f"both ends are one commit: {history.commit(first, deadline).cited}",
            next_step="name an older one that was good, or a newer one that is bad",
        )
    if history.is_ancestor(first, last, deadline):
        return
    good, bad = (history.commit(each, deadline).cited for each in commits)
    if history.is_ancestor(last, first, deadline):
        raise _swapped(good, bad, ends)
    base = history.merge_base(first, last, deadline)
    said = (
        f"their last common commit is {history.commit(base, deadline).cited}" if base else "they share none"
    )
    raise UsageError(
        "the good end is not in the history of the bad one",
        evidence=f"good  {good}\nbad   {bad}\n{said}",
        next_step=f"try that one as the good end: ref={base}" if base else "name two ends of one history",
    )


def _swapped(good: str, bad: str, ends: tuple[Spec, Spec]) -> UsageError:
    words = ["ccsight", "bisect", "--good", ends[1].text, "--bad", ends[0].text]
    return UsageError(
        "the bad end is older than the good one: something mended it in between",
        evidence=f"good  {good}\nbad   {bad}",
        next_step=f"to search for what did: {shlex.join(words)} … as before",
    )


def _versions(good: Spec, bad: Spec, report: Report) -> Row:
    every, first, last = versions.ordered(good, bad, Deadline(GIT_SECONDS), report)
    start, end = every.index(first), every.index(last)
    if start == end:
        raise UsageError(
            f"both ends are one version: {first}",
            next_step="see which others there are: ccsight kernels",
        )
    if start > end:
        raise _swapped(first, last, (good, bad))
    return Row(every[start : end + 1])


def again(order: Order, report: Report) -> Commits | Row | Series:
    """Return the suspects of an order: those between what its ends meant, however branches have moved on."""
    return between(order.first, order.last, order.paths, report)


def named(suspects: Commits | Row | Series, text: str) -> str:
    """Return the suspect that a user means. Raises UsageError."""
    if isinstance(suspects, Commits):
        spec = specs.render("git", str(suspects.history.place), (("ref", text),))
        return dict(
            git_ref.resolve(kernel_specs.parse(spec), Deadline(GIT_SECONDS), lambda _: None).provenance
        )["commit"]
    known = suspects.left([suspects.first], suspects.last)
    if text not in known:
        raise UsageError(
            f"{text} is none of the suspects",
            evidence=nearest(text, known),
            next_step="--dry-run lists them",
        )
    return text
