"""Patches applied to a source, strictly: without fuzz, and with a reason when they do not apply."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import UsageError
from ccsight.kernels import objects
from ccsight.kernels.mbox import Patch, Patchset, read
from ccsight.kernels.objects import Source
from ccsight.process import Completed
from ccsight.scratch import Scratch
from ccsight.store import write_atomically

__all__ = ["Patch", "Patchset", "apply", "read"]

_FAILED = re.compile(r"(?m)^error: patch failed: (?P<file>.+):(?P<line>\d+)$")
_ERROR = re.compile(r"(?m)^error: (.*)$")
_HUNK = re.compile(r"@@ -(?P<line>\d+)(?:,\d+)? \+\d+(?:,\d+)? @@.*")
_OLD_NAME = re.compile(r"--- (?:[^/\s]+/)?([^\t\n]+)")


@dataclass(frozen=True)
class _Bench:
    """Where patches are tried: a scratch folder with an index, over a source's objects."""

    folder: Path
    source: Source
    deadline: Deadline

    def read(self, tree: str) -> None:
        """Put a tree into the index."""
        self._git("read-tree", tree)

    def apply(self, files: Sequence[Path], *options: str) -> str:
        """Apply patches to the index, all or none; return git's complaint, "" when they apply."""
        words = ("apply", "--cached", "--whitespace=nowarn", *options, *map(str, files))
        done = self._git(*words, expect=(0, 1, 128))
        return done.stderr.decode(errors="replace") if done.returncode else ""

    def tree(self) -> str:
        """Return the index as a tree."""
        return self._git("write-tree").text.strip()

    def _git(self, *words: str, expect: Sequence[int] = (0,)) -> Completed:
        where = objects.ours(self.deadline, self.source.objects, INDEX_FILE=self.folder / "index")
        return objects.git(words, self.deadline, where=where, expect=expect)


def apply(source: Source, patchset: Patchset, deadline: Deadline, base: Source | None = None) -> Source:
    """Return a source with patches applied. ``base`` is the one before any patch, if that is another.

    Raises UsageError for the first patch that does not apply, naming file and hunk, whether it is in
    already, and whether it applies to the base without the others; and when all change nothing.
    """
    parts = [source.tree, *(patch.sha256 for patch in patchset.patches)]
    memory = objects.store(deadline) / "patched" / hashlib.sha256(" ".join(parts).encode()).hexdigest()
    tree = memory.read_text() if memory.exists() else ""
    if not tree or not objects.holds(tree, source.objects, deadline):
        tree = _applied(source, patchset, base or source, deadline)
        memory.parent.mkdir(exist_ok=True)
        write_atomically(memory, tree.encode())
    count = len(patchset.patches)
    names = patchset.patches[0].title + (f" and {count - 1} more" if count > 1 else "")
    return replace(source, tree=tree, title=f"{source.title} with {names}")


def _applied(source: Source, patchset: Patchset, base: Source, deadline: Deadline) -> str:
    with Scratch() as scratch:
        bench = _Bench(Path(scratch), source, deadline)
        files = [bench.folder / f"{number:04}.diff" for number, _ in enumerate(patchset.patches)]
        for file, patch in zip(files, patchset.patches, strict=True):
            file.write_bytes(patch.diff)
        bench.read(source.tree)
        if bench.apply(files):
            raise _reason(bench, patchset, files, base)
        tree = bench.tree()
    if tree == source.tree:
        raise UsageError(f"{patchset.path} changes nothing in {source.title}", next_step="leave it out")
    return tree


def _reason(bench: _Bench, patchset: Patchset, files: Sequence[Path], base: Source) -> UsageError:
    """Apply one by one until one fails, and say why."""
    bench.read(bench.source.tree)
    number = 0
    while not (said := bench.apply([files[number]])) and number < len(files) - 1:
        number += 1
    file, patch = files[number], patchset.patches[number]
    here = bench.tree()
    within = f" of {patchset.path}" if patch.subject != patchset.path.name else ""
    if not bench.apply([file], "--check", "--reverse"):
        return UsageError(
            f"patch {patch.title!r}{within} is in {bench.source.title} already",
            evidence="it can be taken out again, whole",
            next_step="leave it out; to measure what it does, take it out of the base: revert=COMMIT",
        )
    return UsageError(
        f"patch {patch.title!r}{within} does not apply to {bench.source.title}",
        evidence=f"{_where(said, patch)}{_alone(bench, file, here, base)}",
        next_step="rebase the patch on this source, or name the source that it was made for",
    )


def _alone(bench: _Bench, file: Path, here: str, base: Source) -> str:
    """Say whether a patch applies to the base without what came before it; nothing when nothing did."""
    if here == base.tree:
        return ""
    bench.read(base.tree)
    if bench.apply([file], "--check"):
        return "; nor does it apply to the base without the others"
    return "; it applies to the base without the others, so one of those is in its way"


def _where(said: str, patch: Patch) -> str:
    """Return what git complained of, with the hunk that it meant."""
    failed = _FAILED.search(said)
    if not failed:
        return "; ".join(_ERROR.findall(said)[:3]) or said.strip()[:300]
    hunks, name = [], ""
    for line in patch.diff.decode(errors="replace").splitlines():
        if match := _OLD_NAME.match(line):
            name = match[1]
        elif (match := _HUNK.match(line)) and name == failed["file"]:
            hunks.append(match)
    for number, hunk in enumerate(hunks, 1):
        if hunk["line"] == failed["line"]:
            return f"{failed['file']}: hunk {number} of {len(hunks)}, {hunk[0]}"
    return f"{failed['file']}, line {failed['line']}"
