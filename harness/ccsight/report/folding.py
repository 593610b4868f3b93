"""Text for a mail: lines that fold at 76 columns, commands that can be pasted, plain characters."""

import shlex
import textwrap
from collections.abc import Iterator, Sequence

from ccsight.report.printable import printable

#: Columns of a mail.
WIDTH = 76
#: Columns of a word that stay together in a command.
_PIECE = 70
#: What is written here in better types than a mail of a kernel list has.
_PLAIN = str.maketrans({"→": "->", "×": "x", "–": "-", "…": "...", "≥": ">=", "≤": "<=", "²": "2"})


def plain(text: str) -> str:
    """Return the text on one line of ASCII; a character that is not, and has no like there, as an escape."""
    return printable(text).replace(" · ", "; ").translate(_PLAIN).encode("ascii", "backslashreplace").decode()


def folded(text: str, hang: int | None = None) -> list[str]:
    """Return the text as lines of a mail; what goes on hangs, mostly by two more than it begins with."""
    if len(text) <= WIDTH:
        return [text]
    indent = " " * (len(text) - len(text.lstrip()) + 2 if hang is None else hang)
    # A word that is broken leaves the blank behind it where a line ends.
    lines = textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)
    return [line.rstrip() for line in lines]


def command(argv: Sequence[str]) -> Iterator[str]:
    """Yield a command to be pasted; a word that is longer than a line goes on in the first column."""
    row = " "
    for word in argv:
        first, *more = _quoted(word)
        if row.strip() and len(row) + len(first) + 3 > WIDTH:
            yield f"{row} \\"
            row = "   "
        row += f" {first}"
        for piece in more:
            yield f"{row}\\"
            row = piece
    yield row


def _quoted(word: str) -> list[str]:
    """Return a word as a shell takes it, in pieces that fit on a line."""
    pieces = [""]
    for char in word:
        if len(shlex.quote(pieces[-1] + char)) > _PIECE:
            pieces.append("")
        pieces[-1] += char
    return [shlex.quote(piece) for piece in pieces]
