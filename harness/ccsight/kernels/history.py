"""Facts of a git history, as a bisection needs them: what lies between commits, and what one of them did.

The repository is only read, through the door in ``objects``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.kernels import objects

#: Columns of a diff stat: what fits into a mail, indented.
_STAT = 70
#: Digits of a commit's id, as kernel commits are cited.
SHORT = 12


@dataclass(frozen=True)
class Commit:
    """One commit: ``parents`` are ids, the branch that was merged into first; ``date`` is ISO 8601."""

    id: str
    parents: tuple[str, ...]
    subject: str
    author: str
    date: str

    @property
    def cited(self) -> str:
        """The commit as mails name it."""
        return f'{self.id[:SHORT]} ("{self.subject}")'


@dataclass(frozen=True)
class History:
    """A repository, or of it only what touches some paths (as git takes them, below ``place``)."""

    place: Path
    paths: tuple[str, ...] = ()

    def between(self, good: Iterable[str], bad: str, deadline: Deadline) -> tuple[str, ...]:
        """Return what ``bad`` has in its history, itself included, and none of ``good`` has.

        The first one halves them best, the last one worst (git rev-list --bisect-all).
        """
        return self._listed("--bisect-all", good, bad, deadline)

    def row(self, good: Iterable[str], bad: str, deadline: Deadline) -> tuple[str, ...]:
        """Return the same, oldest first: none stands before what it has in its history."""
        return self._listed("--topo-order", good, bad, deadline)[::-1]

    def _listed(self, order: str, good: Iterable[str], bad: str, deadline: Deadline) -> tuple[str, ...]:
        words = ["rev-list", order, bad, *(f"^{each}" for each in good), "--", *self.paths]
        return tuple(line.split()[0] for line in self._read(words, deadline).splitlines())

    def is_ancestor(self, old: str, new: str, deadline: Deadline) -> bool:
        """Tell whether a commit is in the history of another one."""
        words = ["-C", str(self.place), "merge-base", "--is-ancestor", old, new]
        return objects.git(words, deadline, expect=(0, 1)).returncode == 0

    def merge_base(self, one: str, other: str, deadline: Deadline) -> str:
        """Return the last commit that two have in common, "" where there is none."""
        words = ["-C", str(self.place), "merge-base", one, other]
        return objects.git(words, deadline, expect=(0, 1)).text.strip()

    def commit(self, ref: str, deadline: Deadline) -> Commit:
        """Return what a commit says of itself."""
        form = "--format=%H%x00%P%x00%s%x00%an <%ae>%x00%aI"
        found = self._read(["log", "-1", form, ref, "--"], deadline).rstrip("\n")
        name, parents, subject, author, date = found.split("\0")
        return Commit(name, tuple(parents.split()), subject, author, date)

    def stat(self, ref: str, deadline: Deadline) -> tuple[str, ...]:
        """Return the lines of a commit's diff stat; a merge's is the one to its first parent."""
        words = ["show", "--format=", f"--stat={_STAT}", "--first-parent", "-m", "--no-ext-diff", ref, "--"]
        said = self._read(words, deadline)
        return tuple(line.rstrip() for line in said.splitlines() if line.strip())

    def _read(self, words: list[str], deadline: Deadline) -> str:
        return objects.git(["-C", str(self.place), *words], deadline).text
