"""Strings that come from machines, made harmless: nothing in them may steer a terminal or break XML."""

import unicodedata

#: Control, format (bidirectional overrides), surrogate, private and unassigned characters, and separators of
#: lines and paragraphs.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def printable(text: str) -> str:
    """Return the text on one line, with everything that cannot be seen spelled as an escape."""
    if text.isascii() and text.isprintable():
        return text  # nearly all there is: a report has a million characters
    return "".join(char if unicodedata.category(char) not in _UNSEEN else _spell(char) for char in text)


def _spell(char: str) -> str:
    return {"\n": " ", "\t": " "}.get(char) or char.encode("unicode_escape", "surrogatepass").decode()
