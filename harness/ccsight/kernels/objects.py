"""The one door to git: trees in an object store of our own, and folders that are moved from tree to tree.

A repository of the user's is only read: its objects serve as an alternate; its index, branches and
checkout are never written, and neither its hooks and filters nor anybody's git configuration or
environment change what happens here.
"""

import errno
import io
import os
import shlex
import shutil
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import DeadlineExceeded, InfraError, ToolMissing
from ccsight.paths import cache_dir
from ccsight.process import Completed, OutputTooLong
from ccsight.store import entry, explain, locked, write_atomically

#: Bytes as they lie there: a tree's .gitattributes name no line endings, filters or merge drivers for us.
_ATTRIBUTES = "* -text !eol -ident !filter !working-tree-encoding !diff !merge !whitespace\n"
_SETTINGS = {
    "safe.directory": "*",  # a repository of another user's is read like any other
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.fsync": "none",  # a cache: what a power cut takes is made again
    "core.quotePath": "false",
    "core.compression": "1",
    "checkout.workers": "0",  # one a CPU
    "gc.auto": "0",
}
_NOBODY = {"NAME": "ccsight", "EMAIL": "ccsight@localhost", "DATE": "@0 +0000"}
_ENVIRONMENT = {
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    **{f"GIT_{who}_{what}": text for who in ("AUTHOR", "COMMITTER") for what, text in _NOBODY.items()},
}
#: Git searches what it has put into a pack one by one, so three small packs are quicker than one big.
_PORTIONS = ((":(exclude)arch", ":(exclude)drivers"), (":(exclude)drivers",), ())
#: Makes ``git add`` write one pack instead of a file an object: a quarter of the room.
_ONE_PACK = {"core.bigFileThreshold": "1"}


class GitFailed(InfraError):
    """Git ended with a status that its caller did not expect."""


@dataclass(frozen=True)
class Source:
    """A kernel's source: a git tree, so that equal content is equal however it was come by.

    ``objects`` are the object folders that hold it, ours first. ``title`` is for people, ``provenance``
    for the record. ``differs`` tells whether a user's folder has changed since; None for what cannot change.
    """

    tree: str
    objects: tuple[Path, ...]
    title: str
    provenance: tuple[tuple[str, str], ...] = ()
    differs: Callable[[Deadline], bool] | None = field(default=None, compare=False, repr=False)

    def changed(self, deadline: Deadline) -> bool:
        """Return whether the user's folder has other content than when it was read; only a ``tree:`` can."""
        return self.differs is not None and self.differs(deadline)


def store(deadline: Deadline) -> Path:
    """Return our repository (bare, without refs), made if need be."""
    return entry(".", "objects.git", lambda folder: _init(folder, deadline), deadline)


def _init(folder: Path, deadline: Deadline) -> None:
    git(["init", "--quiet", "--bare", "--template=", "--initial-branch=none", str(folder)], deadline)
    (folder / "info").mkdir(exist_ok=True)
    (folder / "info/attributes").write_text(_ATTRIBUTES)


def git(
    words: Sequence[str],
    deadline: Deadline,
    *,
    where: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
    expect: Sequence[int] | None = (0,),
) -> Completed:
    """Run git. ``where`` are the GIT_* variables that say on what; all those of the user's are dropped.

    ``expect`` as in process.run. Raises GitFailed with git's own words, NoSpace, ToolMissing or
    DeadlineExceeded.
    """
    if not shutil.which("git"):
        raise ToolMissing("git is not on this system", next_step="apt-get install git")
    given = _ENVIRONMENT | dict(where or {})
    theirs: dict[str, str | None] = {name: None for name in os.environ if name.startswith("GIT_")}
    chosen = [word for pair in (_SETTINGS | dict(settings or {})).items() for word in ("-c", "=".join(pair))]
    argv = ["git", *chosen, *words]
    by_hand = f"by hand: {shlex.join(['env', *map('='.join, given.items()), *argv])}"
    try:
        done = process.run(argv, deadline, env=theirs | given, expect=None, limit=256 << 20)
    except (DeadlineExceeded, OutputTooLong) as error:
        error.next_step = by_hand
        raise
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode and os.strerror(errno.ENOSPC) in said:
        raise explain(OSError(errno.ENOSPC, said), cache_dir())
    if expect is not None and done.returncode not in expect:
        evidence = "\n            ".join(said.splitlines()[-6:])
        raise GitFailed(
            f"git {words[0]} ended with status {done.returncode}",
            evidence=evidence,
            next_step=by_hand,
        )
    return done


def ours(deadline: Deadline, others: Sequence[Path] = (), **more: str | Path) -> dict[str, str]:
    """Return where git works: in our store, reading the object folders ``others``, too.

    Keywords are further variables without their GIT_: ``ours(deadline, INDEX_FILE=path)``.
    """
    place = store(deadline)
    objects = place / "objects"
    quoted = [_quoted(path) for path in others if path != objects]
    where = {"GIT_DIR": str(place), "GIT_ALTERNATE_OBJECT_DIRECTORIES": ":".join(quoted)}
    return where | {f"GIT_{name}": str(value) for name, value in more.items()}


def _quoted(path: Path) -> str:
    """Write a path as the list of alternates takes it: a colon separates, unless in quotes."""
    text = str(path)
    if ":" not in text and not text.startswith('"'):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def holds(tree: str, others: Sequence[Path], deadline: Deadline) -> bool:
    """Return whether a tree is still there: a cache may be emptied at any time."""
    words = ["cat-file", "-e", f"{tree}^{{tree}}"]
    return git(words, deadline, where=ours(deadline, others), expect=None).returncode == 0


def present(source: Source, paths: Sequence[str], deadline: Deadline) -> set[str]:
    """Return those of some paths that a source has."""
    words = ["ls-tree", "--name-only", "-z", source.tree, "--", *paths]
    return set(git(words, deadline, where=ours(deadline, source.objects)).text.rstrip("\0").split("\0"))


def files(source: Source, deadline: Deadline) -> dict[str, str]:
    """Return the paths of all files that a source has, and the ids of what is in them."""
    words = ["ls-tree", "-r", "-z", source.tree]
    said = git(words, deadline, where=ours(deadline, source.objects)).text
    lines = (line.split("\t", 1) for line in said.split("\0") if line)
    return {path: about.rsplit(" ", 1)[1] for about, path in lines}


def changed_paths(old: Source, new: Source, deadline: Deadline) -> tuple[str, ...]:
    """Return the paths in which two sources differ, sorted."""
    words = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", old.tree, new.tree]
    said = git(words, deadline, where=ours(deadline, (*old.objects, *new.objects))).text
    return tuple(sorted(filter(None, said.split("\0"))))


@dataclass(frozen=True)
class Folder:
    """A folder to import. ``index`` remembers it, so that the next import reads what has changed only.

    ``words`` go to ``git add``. ``others`` are object folders that hold some of it already.
    """

    path: Path
    index: Path
    words: tuple[str, ...] = ()
    others: tuple[Path, ...] = ()


def import_folder(folder: Folder, deadline: Deadline) -> str:
    """Return the tree that a folder holds; a ``.git`` in it is no part of that.

    The caller holds the lock of the index. Raises GitFailed or NoSpace.
    """
    index = folder.index
    index.with_name(f"{index.name}.lock").unlink(missing_ok=True)  # git's own: of a killed run
    where = ours(deadline, folder.others, INDEX_FILE=index, WORK_TREE=folder.path)
    words = ["-C", str(folder.path), "add", "--all", *folder.words]
    if index.exists():
        git(words, deadline, where=where)
    else:
        with locked(store(deadline) / "pack", deadline):
            for torn in (store(deadline) / "objects/pack").glob("tmp_*"):  # under the lock, a killed run's
                torn.unlink(missing_ok=True)
            for portion in _PORTIONS:
                git([*words, *portion], deadline, where=where, settings=_ONE_PACK)
    return git(["write-tree"], deadline, where=where).text.strip()


def move(worktree: Path, source: Source, deadline: Deadline) -> None:
    """Bring a folder to a source, from whatever source it was at. The caller holds the folder's lock.

    Only files that differ are written, so that make(1) sees only them as new. What somebody changed or
    a kill left half done is repaired; files that the sources do not name (build products) stay. The
    folder is created if need be; its index lies beside it as ``NAME.index``. Raises GitFailed, NoSpace.
    """
    index, mark = _beside(worktree, "index"), _beside(worktree, "moving")
    index.with_name(f"{index.name}.lock").unlink(missing_ok=True)
    if not index.exists() or not worktree.is_dir():
        wipe(worktree)
    try:
        if mark.exists():  # a killed move's new files are in no index; finishing it makes them known
            tree, *others = mark.read_text().splitlines()
            _check_out(worktree, tree, tuple(map(Path, others)), deadline)
        _check_out(worktree, source.tree, source.objects, deadline)
    except GitFailed:  # a build product lies where a folder should, or the index is torn
        wipe(worktree)
        _check_out(worktree, source.tree, source.objects, deadline)


def pack(source: Source, path: Path, deadline: Deadline) -> None:
    """Write all files of a source into an archive, ``.tar.gz``."""
    words = ["archive", "-1", "--format=tar.gz", f"--output={path}", source.tree]
    git(words, deadline, where=ours(deadline, source.objects))


def unpack(source: Source, paths: Sequence[str], folder: Path, deadline: Deadline) -> None:
    """Put those files of a source that match git's pathspecs into a folder."""
    words = ["archive", "--format=tar", source.tree, "--", *paths]
    packed = git(words, deadline, where=ours(deadline, source.objects)).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            if content := archive.extractfile(member) if member.isreg() else None:
                (folder / member.name).parent.mkdir(parents=True, exist_ok=True)
                (folder / member.name).write_bytes(content.read())


def _check_out(worktree: Path, tree: str, objects: Sequence[Path], deadline: Deadline) -> None:
    mark = _beside(worktree, "moving")
    write_atomically(mark, "\n".join([tree, *map(str, objects)]).encode())
    where = ours(deadline, objects, INDEX_FILE=_beside(worktree, "index"), WORK_TREE=worktree)
    git(["read-tree", "--reset", "-u", tree], deadline, where=where)
    mark.unlink()


def refresh(worktree: Path, deadline: Deadline) -> None:
    """Make the index of a copied worktree know the copies; without that, a move would write all of them.

    Git also goes by a file's inode and change time, which no copy keeps, so it reads each file once.
    The caller holds the folder's lock.
    """
    index = _beside(worktree, "index")
    index.with_name(f"{index.name}.lock").unlink(missing_ok=True)  # copied, too: of a killed run
    where = ours(deadline, INDEX_FILE=index, WORK_TREE=worktree)
    git(["-C", str(worktree), "update-index", "-q", "--refresh"], deadline, where=where, expect=(0, 1))


def wipe(worktree: Path) -> None:
    """Leave an empty folder that no index knows. The caller holds the folder's lock."""
    shutil.rmtree(worktree, ignore_errors=True)
    for name in ("index", "moving"):
        _beside(worktree, name).unlink(missing_ok=True)
    try:
        worktree.mkdir(parents=True)
    except OSError as error:
        raise explain(error, worktree.parent) from error


def _beside(worktree: Path, what: str) -> Path:
    return worktree.with_name(f"{worktree.name}.{what}")
