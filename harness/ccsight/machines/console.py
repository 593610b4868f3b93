"""What a kernel's console says about how a boot went: the lines worth showing, and where they stand."""

import re
from collections.abc import Iterator
from pathlib import Path

from ccsight.evidence.model import Console
from ccsight.kvm.modes import mode
from ccsight.kvm.splats import splats

#: What moves a terminal and says nothing: ECMA-48's control sequences and strings, and single characters.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]+[0-~]|\x1b[0-~]"
    r"|[\x00-\x08\x0b-\x1f\x7f]"
)
#: Stands on a line of its own where a console was not listened to.
GAP = "ccsight: what the console said here was not heard"
_FATAL = re.compile(r"Kernel panic - not syncing|Unable to handle kernel|Internal error:")
_TIMESTAMP = re.compile(r"^\[\s*\d+\.\d+\] ")
_MOST = 1 << 20
#: Characters of a line beyond which nobody reads on.
_LONG = 1000


def last_words(console: Path, count: int = 4) -> str:
    """Return what a person wants to see first, ``FILE:LINE`` at its end; "" when there is nothing.

    That is the first oops or the panic with the lines before it, or else the last lines.
    """
    lines = _lines(console)
    fatal = [number for number, line in lines if _FATAL.search(line)]
    shown = [entry for entry in lines if not fatal or entry[0] <= fatal[0]][-count:]
    if not shown:
        return ""
    words = " / ".join(_TIMESTAMP.sub("", line) for _, line in shown)
    return f"{words} ({console}:{shown[-1][0]})"


def panic(console: Path) -> str:
    """Return the kernel's reason of a panic, or ""."""
    for _, line in _lines(console):
        _, found, reason = line.partition("Kernel panic - not syncing: ")
        if found:
            return reason
    return ""


def observed(console: Path, name: str) -> Console:
    """Return what a whole console showed; ``name`` is what the evidence calls the file."""
    lines = list(_all(console))
    return Console(
        file=name,
        lines=len(lines),
        splats=splats(lines),
        mode=mode(lines),
        whole=all(line != GAP for _, line in lines),
    )


def plain(line: str) -> str:
    """Return what a line says, without what moves a terminal and without blanks around it."""
    return _ESCAPES.sub("", line).strip()


def _all(console: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a console that hold something."""
    try:
        with console.open(encoding="utf-8", errors="replace", newline="\n") as file:
            for number, line in enumerate(file, 1):
                if clean := plain(line[:_LONG]):
                    yield number, clean
    except FileNotFoundError:
        return


def _lines(console: Path) -> list[tuple[int, str]]:
    """Return the numbered lines that hold something, of the last megabyte of a console."""
    try:
        content = console.read_bytes()
    except OSError:
        return []
    before = content[:-_MOST].count(b"\n") if len(content) > _MOST else 0
    text = content[-_MOST:].decode(errors="replace").split("\n")
    clean = ((before + number, plain(line)) for number, line in enumerate(text, 1))
    return [(number, line) for number, line in clean if line]
