"""A real repository out of a kernel's source: one import commit, then the commits that a test adds.

For ``git:`` specs and bisections on real kernels. The import borrows the objects of the cache, so that
it takes no time and no room.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

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

    def apply(self, subject: str, patch: Path) -> str:
        """Commit what a patch does. Returns the id."""
        with tempfile.TemporaryDirectory() as scratch:
            index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
            git(self.place, "read-tree", "HEAD", **index)
            git(self.place, "apply", "--cached", str(patch.absolute()), **index)
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
    start = source.resolve_source(parse(spec), deadline, lambda _: None).source
    place = cache_dir() / "histories" / f"{name}-{os.getpid()}.git"
    return History(place, start)
