"""What a build read of its source: kept beside the Image, so that a search can leave out other commits.

Kbuild writes each command that it ran, and all files that the compiler read, into a ``.NAME.cmd``. Files
that no command names are taken by folder: whoever reads one file of a folder may read any of them.
"""

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from ccsight.store import write_atomically

NAME = "reads"
#: What make and Kconfig read, whether a command names it or not. Those of all folders: git takes twice as
#: long over a list of only the Makefiles that make came upon, which leaves out two commits in a hundred more.
_ALWAYS = frozenset({"include/**", "scripts/**", "**/Kbuild*", "**/Kconfig*", "**/Makefile*"})
#: A word of a command, or of the list of what it read.
_WORD = re.compile(rb"[^\s'\"();|<>&=\\]+")


def note(folder: Path, tree: Path, tracked: Collection[str]) -> None:
    """Write what the build in a worktree read, of its ``tracked`` files, into a stored kernel's folder."""
    write_atomically(folder / NAME, "".join(f"{line}\n" for line in patterns(tree, tracked)).encode())


def pathspecs(folder: Path) -> tuple[str, ...]:
    """Return what a stored kernel's build read, in git's words; nothing when that was not kept."""
    try:
        lines = (folder / NAME).read_text().splitlines()
    except FileNotFoundError:
        return ()
    return tuple(_pathspec(line) for line in lines)


def _pathspec(line: str) -> str:
    below = line.removesuffix("/**")
    return f":(top,glob){line}" if "*" in below else f":(top,literal){below}"


def patterns(tree: Path, tracked: Collection[str]) -> tuple[str, ...]:
    """Return the files, folders (``FOLDER/*``) and whole subtrees (``FOLDER/**``) that a build read, sorted.

    A folder stands for its subtree when the build read something in each folder below: fs does not, or
    all file systems would be in.
    """
    files = _named(tree).intersection(tracked)
    read, folders = ({_folder(path) for path in paths} - {""} for paths in (files, tracked))
    unread = folders - read
    whole = read.difference(*(_above(folder) for folder in unread)) | {"include", "scripts"}
    lines = {f"{folder}/**" for folder in _highest(whole)}
    lines |= {f"{folder}/*" for folder in read - whole if whole.isdisjoint(_above(folder))}
    lines |= {path for path in files if "/" not in path}
    return tuple(sorted(lines | _ALWAYS))


def _highest(folders: set[str]) -> set[str]:
    """Return those that lie in no other one."""
    return {folder for folder in folders if folders.isdisjoint(_above(folder))}


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _above(folder: str) -> Iterator[str]:
    """Yield the folders that a folder lies in, but not the top."""
    while folder := _folder(folder):
        yield folder


def _named(tree: Path) -> set[str]:
    """Return all that the commands of a build name, as paths from the top; many are none."""
    lines = set()
    for place, _, names in os.walk(tree):
        for name in names:
            if name.startswith(".") and name.endswith(".cmd"):
                lines.update(Path(place, name).read_bytes().splitlines())  # most say what others said
    words = {word for line in lines for word in _WORD.findall(line)}
    top = f"{tree}/"
    return {os.path.normpath(word.decode(errors="replace").removeprefix(top)) for word in words}
