"""What a kernel's console says about how a boot ended: the lines worth showing, and where they stand."""

import re
from pathlib import Path

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
_FATAL = re.compile(r"Kernel panic - not syncing|Unable to handle kernel|Internal error:")
_TIMESTAMP = re.compile(r"^\[\s*\d+\.\d+\] ")
_MOST = 1 << 20


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


def _lines(console: Path) -> list[tuple[int, str]]:
    """Return the numbered lines that hold something, of the last megabyte of a console."""
    try:
        content = console.read_bytes()
    except OSError:
        return []
    before = content[:-_MOST].count(b"\n") if len(content) > _MOST else 0
    text = content[-_MOST:].decode(errors="replace").split("\n")
    clean = ((before + number, _ESCAPES.sub("", line).strip()) for number, line in enumerate(text, 1))
    return [(number, line) for number, line in clean if line]
