"""The nearest known name to one that is not known, for messages."""

import difflib
from collections.abc import Iterable

#: How many words a message names: more than there are kernels or machines, fewer than there are registers.
_MOST = 30


def meant(word: str, known: Iterable[str], alike: float = 0.5) -> str:
    """Return ``"did you mean 'x'?"``, or "" when no known word is near: ``alike`` from 0 to 1."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=alike)
    return f"did you mean {close[0]!r}?" if close else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``"did you mean 'x'?"``, or the known words when none is near."""
    names = list(known)
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return meant(word, names) or f"known: {', '.join(names[:_MOST])}{more}"
