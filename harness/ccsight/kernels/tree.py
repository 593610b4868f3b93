"""``tree:PATH``: a kernel's source in a folder, with or without git, as it lies there now."""

import functools
import hashlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import UsageError
from ccsight.kernels import objects
from ccsight.kernels.objects import Folder, GitFailed, Source
from ccsight.paths import cache_dir
from ccsight.specs import Spec
from ccsight.store import locked, write_atomically
from ccsight.toolbox.tools import Report

#: What a kernel's build leaves in a tree whose .gitignore hides the source itself, and packaging.
#: A star also stands for slashes here; patterns that only begin with one are the quick ones.
_PRODUCTS = (
    *("*.o", "*.a", "*.ko", "*.mod", "*.mod.c", "*.s", "*.i", "*.lst", "*.dtb", "*.dtbo", "*.so", "*.so.dbg"),
    *("*.gcno", "*.symtypes", "*.lex.c", "*.tab.[ch]", "*.asn1.[ch]", "*.order", "*.cmd", "*.d", "*.elf"),
    *("vmlinux*", ".vmlinux*", ".tmp_*", "*/.tmp_*", "System.map", "Module.symvers", "modules.*", ".config*"),
    *("include/config", "include/generated", "arch/*/include/generated/*", "arch/*/boot/Image*"),
    *("debian", ".pc"),
)
_FORCED = ("--force", "--", ".", *(f":(exclude,top){pattern}" for pattern in _PRODUCTS))


@dataclass(frozen=True)
class _Repository:
    """What the user's own git says of a folder that is the top of its checkout."""

    index: Path
    objects: Path
    head: str
    head_tree: str


def resolve(spec: Spec, deadline: Deadline, report: Report) -> Source:
    """Return the content of a folder as it is now; the folder and its git are only read.

    Raises UsageError when it is no folder or cannot be read.
    """
    folder = Path(spec.value).expanduser().absolute()
    if not folder.is_dir():
        raise UsageError(f"{spec.value} is not a folder", next_step="tree:PATH, the top of a kernel's source")
    repository = _repository(folder, deadline)
    if not _place(folder).exists():
        report(f"reading {folder}")
    tree = _imported(folder, repository, deadline)
    return Source(
        tree=tree,
        objects=_objects(repository, deadline),
        title=f"{folder.name} {_state(repository, tree)}",
        provenance=(
            ("folder", str(folder)),
            ("commit", repository.head if repository else ""),
            ("state", _state(repository, tree)),
        ),
        differs=functools.partial(_differs, folder, tree),
    )


def _state(repository: _Repository | None, tree: str) -> str:
    if not repository or not repository.head:
        return f"with content {tree[:12]}"
    return f"at {repository.head[:12]}" + (
        "" if repository.head_tree == tree else f", modified ({tree[:12]})"
    )


def _differs(folder: Path, tree: str, deadline: Deadline) -> bool:
    return not folder.is_dir() or _imported(folder, _repository(folder, deadline), deadline) != tree


def _objects(repository: _Repository | None, deadline: Deadline) -> tuple[Path, ...]:
    return (objects.store(deadline) / "objects", *([repository.objects] if repository else []))


def _place(folder: Path) -> Path:
    return cache_dir() / "trees" / hashlib.sha256(str(folder).encode()).hexdigest()[:24]


def _imported(folder: Path, repository: _Repository | None, deadline: Deadline) -> str:
    place = _place(folder)
    with locked(place, deadline):
        place.mkdir(exist_ok=True)
        try:
            return _read(folder, repository, deadline)
        except GitFailed:  # the index is torn, or names what the user's git has dropped since
            shutil.rmtree(place)
            place.mkdir()
        try:
            return _read(folder, None, deadline)
        except GitFailed as error:
            raise UsageError(
                f"{folder} cannot be read as a source tree", evidence=error.evidence, next_step="tree:PATH"
            ) from error


def _read(folder: Path, repository: _Repository | None, deadline: Deadline) -> str:
    index = _place(folder) / "index"
    others = (repository.objects,) if repository else ()
    if repository:
        _seed(repository, index, deadline)
    words = _FORCED if _ignores_itself(folder, repository, deadline) else ("--", ".")
    return objects.import_folder(Folder(folder, index, words, others), deadline)


def _ignores_itself(folder: Path, repository: _Repository | None, deadline: Deadline) -> bool:
    """Return whether a .gitignore hides the source, as that of Debian's packaging does."""
    index = repository.index if repository else _place(folder) / "none"
    where = objects.ours(deadline, INDEX_FILE=index, WORK_TREE=folder)
    words = ["-C", str(folder), "check-ignore", "--quiet", "Makefile"]  # tracked means: not ignored
    return objects.git(words, deadline, where=where, expect=(0, 1)).returncode == 0


def _repository(folder: Path, deadline: Deadline) -> _Repository | None:
    """Return the user's repository, if the folder is the top of a checkout that can be made use of."""
    if not (folder / ".git").exists():
        return None
    ask = ["--git-path", "index", "--git-path", "objects", "--show-object-format"]
    words = ["-C", str(folder), "rev-parse", "--path-format=absolute", *ask]
    done = objects.git(words, deadline, expect=None)
    if done.returncode:
        return None
    index, store, form = done.text.splitlines()[:3]
    split = objects.git(["-C", str(folder), "rev-parse", "--shared-index-path"], deadline, expect=None).text
    if form != "sha1" or split.strip() or not Path(index).is_file():
        return None
    heads = objects.git(["-C", str(folder), "rev-parse", "HEAD", "HEAD^{tree}"], deadline, expect=None)
    head, head_tree = heads.text.split() if heads.returncode == 0 else ("", "")
    return _Repository(Path(index), Path(store), head, head_tree)


def _seed(repository: _Repository, index: Path, deadline: Deadline) -> None:
    """Begin with what the user's index knows: what is tracked though ignored, and what has not changed.

    Its date is kept: git compares files with it to tell which could have changed unnoticed.
    """
    about = repository.index.stat()
    stamp, known = index.with_name("seed"), f"{about.st_mtime_ns} {about.st_size} {about.st_ino}"
    if index.exists() and stamp.exists() and stamp.read_text() == known:
        return
    shutil.copy2(repository.index, index)
    where = objects.ours(deadline, (repository.objects,), INDEX_FILE=index)
    tags = objects.git(["ls-files", "-v"], deadline, where=where).stdout
    if re.search(rb"(?m)^[a-zS]", tags):  # git was told not to look at some: look at all
        tree = objects.git(["write-tree"], deadline, where=where).text.strip()
        index.unlink()
        objects.git(["read-tree", tree], deadline, where=where)
    write_atomically(stamp, known.encode())
