"""A writer of newc cpio archives, the format of an initramfs. It knows nothing of what goes in.

The kernel unpacks archives that are simply concatenated (Documentation/driver-api/early-userspace/
buffer-format.rst), so an initramfs can be made of layers that are written at different times.
"""

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_TRAILER = "TRAILER!!!"


@dataclass(frozen=True)
class Entry:
    """One file of an archive: ``mode`` with its type bits, ``data`` a file's content or a link's target."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def folder(name: str, mode: int = 0o755) -> Entry:
    """Return a folder; parents come before what is in them."""
    return Entry(name, stat.S_IFDIR | mode)


def file(name: str, data: bytes, mode: int = 0o644) -> Entry:
    """Return a regular file."""
    return Entry(name, stat.S_IFREG | mode, data)


def link(name: str, to: str) -> Entry:
    """Return a symbolic link."""
    return Entry(name, stat.S_IFLNK | 0o777, to.encode())


def node(name: str, major: int, minor: int, mode: int = 0o600) -> Entry:
    """Return a character device."""
    return Entry(name, stat.S_IFCHR | mode, device=(major, minor))


def archive(entries: Iterable[Entry]) -> bytes:
    """Return a whole archive, owned by root, all times 0 so that equal content gives equal bytes."""
    parts = [_packed(entry, inode) for inode, entry in enumerate(entries, 1)]
    return b"".join([*parts, _packed(Entry(_TRAILER, 0), 0)])


def tree(root: Path) -> list[Entry]:
    """Return the files of a folder as entries, links followed, parents first; modes are kept."""
    found = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        mode = stat.S_IMODE(path.stat().st_mode)
        found.append(folder(name, mode) if path.is_dir() else file(name, path.read_bytes(), mode))
    return found


def _packed(entry: Entry, inode: int) -> bytes:
    name = entry.name.encode() + b"\0"
    owner, links, when = (0, 0), 1, 0
    fields = (inode, entry.mode, *owner, links, when, len(entry.data), 0, 0, *entry.device, len(name), 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields)
    return _aligned(header + name) + _aligned(entry.data)


def _aligned(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
