"""A real repository out of a kernel's source: one import commit, then the commits that a test adds.

For ``git:`` specs and bisections on real kernels. The import borrows the objects of the cache, so that
it takes no time and no room.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from dag import Made, imported
from history_plan import Plan
from tiny_source import git

from ccsight.deadline import Deadline
from ccsight.kernels import source
from ccsight.kernels.objects import Source
from ccsight.kernels.spec import parse
from ccsight.paths import cache_dir

_BRANCH = "refs/heads/master"


class History:
    """A bare repository with one branch that grows. ``commits`` are its ids, oldest first."""

    def __init__(self, place: Path, start: Source) -> None:
        self.place = place
        self.commits: list[str] = []
        place.mkdir(parents=True)
        git(place, "init", "--quiet", "--bare")
        (place / "objects/info/alternates").write_text("".join(f"{path}\n" for path in start.objects))
        self._commit(start.tree, f"import {start.title}")

    def edit(self, subject: str, edits: Mapping[str, tuple[str, str]]) -> str:
        """Commit changes of text, ``{path: (old, new)}``; ``old`` has to be there once. Returns the id."""
        return self.write(subject, {path: self._edited(path, *change) for path, change in edits.items()})

    def write(self, subject: str, files: Mapping[str, str]) -> str:
        """Commit whole files. Returns the id."""
        with tempfile.TemporaryDirectory() as scratch:
            index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
            git(self.place, "read-tree", "HEAD", **index)
            for path, text in files.items():
                (Path(scratch) / "blob").write_text(text)
                blob = git(self.place, "hash-object", "-w", str(Path(scratch) / "blob"))
                git(self.place, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", **index)
            return self._commit(git(self.place, "write-tree", **index), subject)

    def _edited(self, path: str, old: str, new: str) -> str:
        text = git(self.place, "cat-file", "blob", f"HEAD:{path}") + "\n"
        if text.count(old) != 1:
            raise ValueError(f"{path} has {text.count(old)} of {old!r}")
        return text.replace(old, new)

    def _commit(self, tree: str, subject: str) -> str:
        parents = [word for commit in self.commits[-1:] for word in ("-p", commit)]
        made = git(self.place, "commit-tree", "-m", subject, *parents, tree)
        git(self.place, "update-ref", _BRANCH, made)
        self.commits.append(made)
        return made


def of(spec: str, name: str, deadline: Deadline) -> History:
    """Return a new history in the cache that begins with a source, such as ``deb-src:6.12``."""
    return History(_place(name), _source(spec, deadline))


def planned(plan: Plan, name: str, deadline: Deadline) -> Made:
    """Write a planned history down in the cache, in one call of git, from the sources of its series."""
    series = {change.series for change in plan.changes}
    sources = {each: _source(f"deb-src:{each}", deadline) for each in series}
    place = _place(name)
    place.mkdir(parents=True)
    git(place, "init", "--quiet", "--bare")
    folders = dict.fromkeys(path for each in sources.values() for path in each.objects)
    (place / "objects/info/alternates").write_text("".join(f"{path}\n" for path in folders))
    trees = {each: found.tree for each, found in sources.items()}
    return imported(place, "".join(_Stream(place, plan, trees).commits()))


def _place(name: str) -> Path:
    return cache_dir() / "histories" / f"{name}-{os.getpid()}.git"


def _source(spec: str, deadline: Deadline) -> Source:
    return source.resolve_source(parse(spec), deadline, lambda _: None).source


class _Stream:
    """A plan as git fast-import takes it."""

    def __init__(self, place: Path, plan: Plan, trees: Mapping[str, str]) -> None:
        self._place = place
        self._plan = plan
        self._trees = trees
        self._text = cache(self._read)

    def commits(self) -> Iterator[str]:
        """Yield the commits in their order."""
        for number, change in enumerate(self._plan.changes):
            parents = self._plan.parents[number]
            edges = [
                f"{'merge' if later else 'from'} :{parent + 1}\n" for later, parent in enumerate(parents)
            ]
            yield "" if parents else "reset refs/heads/master\n"
            yield f"commit refs/heads/master\nmark :{number + 1}\n"
            yield f"committer A <a@b.invalid> {1700000000 + 60 * number} +0000\n"
            yield f"{_data(change.subject)}{''.join(edges)}{''.join(self._files(number))}\n"

    def _files(self, number: int) -> Iterator[str]:
        change = self._plan.changes[number]
        if change.anew or not number:
            yield f'M 040000 {self._trees[change.series]} ""\n'
        edits = self._plan.edits(number)
        for path in dict.fromkeys(edit.path for edit in edits):
            text = self._text(f"{self._trees[change.series]}:{path}")
            for edit in edits:
                text = edit.applied(text) if edit.path == path else text
            yield f"M 100644 inline {path}\n{_data(text)}"

    def _read(self, blob: str) -> str:
        """Return a file of an imported tree; "" where it has none."""
        there = git(self._place, "ls-tree", *blob.split(":"))
        return git(self._place, "cat-file", "blob", blob) + "\n" if there else ""


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"
