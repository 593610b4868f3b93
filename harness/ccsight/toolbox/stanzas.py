"""Debian's control format and version order: the only door to python-debian.

Package lists are tens of megabytes; only the stanzas that are asked for are parsed.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cmp_to_key
from pathlib import Path
from typing import TypeVar

from debian.deb822 import Deb822, PkgRelation
from debian.debian_support import version_compare

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import ArchiveError
from ccsight.toolbox.tools import APT_HELPER

T = TypeVar("T")

_CHUNK = 1 << 20

#: Sort key for Debian version strings, oldest first.
by_version = cmp_to_key(version_compare)


@dataclass(frozen=True)
class Stanza:
    """What a package list says of one package. ``depends`` are its exact ``(= version)`` dependencies."""

    package: str
    version: str
    filename: str
    size: int
    sha256: str
    depends: tuple[tuple[str, str], ...]


def paragraphs(text: str) -> Iterator[dict[str, str]]:
    """Yield the stanzas of a deb822 file with their fields in lower case; comments are dropped."""
    for paragraph in Deb822.iter_paragraphs(text.splitlines()):
        yield {str(key).lower(): str(value) for key, value in paragraph.items()}


@dataclass(frozen=True)
class SourceStanza:
    """What a list says of one source package. ``files`` are (name, size, SHA-256), below ``directory``."""

    package: str
    version: str
    directory: str
    files: tuple[tuple[str, int, str], ...]


def scan(path: Path, names: str, deadline: Deadline) -> Iterator[Stanza]:
    """Yield the stanzas of a package list whose name matches the regular expression ``names``.

    Raises ArchiveError as :func:`scan_sources` does.
    """
    return _scan(path, names, deadline, _stanza)


def scan_sources(path: Path, names: str, deadline: Deadline) -> Iterator[SourceStanza]:
    """Yield the stanzas of a list of source packages whose name matches the expression ``names``.

    Raises ArchiveError for a list that ends early or a stanza that lacks what every package has.
    """
    return _scan(path, names, deadline, _source_stanza)


def _scan(path: Path, names: str, deadline: Deadline, read: Callable[[Deb822], T]) -> Iterator[T]:
    """Yield what ``read`` makes of the stanzas whose name matches.

    The list may be compressed in any way that apt knows.
    """
    wanted = re.compile(rf"(?m)^Package: (?:{names})$".encode())
    child = process.spawn([APT_HELPER, "cat-file", str(path)], process.Streams(stdout=process.PIPE))
    try:
        rest = b""
        while chunk := child.stdout.read(_CHUNK) if child.stdout else b"":
            deadline.check(f"reading {path.name}")
            whole, gap, tail = (rest + chunk).rpartition(b"\n\n")
            yield from _matching(whole + gap, wanted, path, read)
            rest = tail
        yield from _matching(rest, wanted, path, read)
        if child.wait(max(deadline.remaining, 0.1)):
            raise _unreadable(path, "it ends early")
    finally:
        process.end(child)
        if child.stdout:
            child.stdout.close()


def _matching(
    block: bytes, wanted: re.Pattern[bytes], path: Path, read: Callable[[Deb822], T]
) -> Iterator[T]:
    for match in wanted.finditer(block):
        start = block.rfind(b"\n\n", 0, match.start()) + 1
        end = block.find(b"\n\n", match.end())
        text = block[start : end if end >= 0 else len(block)].decode(errors="replace")
        try:
            yield read(Deb822(text.strip().splitlines()))
        except (KeyError, ValueError) as error:
            raise _unreadable(path, f"{match.group().decode(errors='replace')}: {error!r}") from error


def _stanza(fields: Deb822) -> Stanza:
    return Stanza(
        package=fields["Package"],
        version=fields["Version"],
        filename=fields["Filename"],
        size=int(fields["Size"]),
        sha256=fields["SHA256"],
        depends=tuple(_exact(fields.get("Depends", ""))),
    )


def _source_stanza(fields: Deb822) -> SourceStanza:
    rows = (line.split() for line in fields["Checksums-Sha256"].split("\n") if line.strip())
    return SourceStanza(
        package=fields["Package"],
        version=fields["Version"],
        directory=fields["Directory"],
        files=tuple((name, int(size), sha256) for sha256, size, name in rows),
    )


def _exact(depends: str) -> Iterator[tuple[str, str]]:
    for alternatives in PkgRelation.parse_relations(depends) if depends else []:
        bound = alternatives[0].get("version")
        if len(alternatives) == 1 and bound and bound[0] == "=":
            yield alternatives[0]["name"], bound[1]


def _unreadable(path: Path, why: str) -> ArchiveError:
    return ArchiveError(
        f"the package list {path.name} cannot be read", evidence=why, next_step="ccsight kernels --refresh"
    )
