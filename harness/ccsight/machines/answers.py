"""What a script on a machine says: a word and its value a line, and then ``end``. All of it is untrusted."""

import re
from collections.abc import Collection, Mapping

from ccsight.errors import InfraError
from ccsight.process import Completed


def read(content: bytes, forms: Mapping[str, str], needed: Collection[str], name: str) -> dict[str, str]:
    """Return the values by their words, each said once and in its form; ``name`` is the machine's.

    Raises InfraError for a word that is unknown or said twice, a value that cannot be one, an answer that
    lacks its end or a word that is ``needed``.
    """
    *lines, last = content.decode(errors="replace").splitlines() or [""]
    said: dict[str, str] = {}
    for line in lines:
        word, _, value = line.partition(" ")
        if word in said or word not in forms or not re.fullmatch(forms[word], value.strip()):
            raise _unlike(name, line)
        said[word] = value.strip()
    if last != "end" or set(needed) - said.keys():
        raise _unlike(name, last)
    return said


def none(name: str, done: Completed) -> InfraError:
    """Return the error for a machine that did not run the script at all."""
    return InfraError(
        f"{name} does not run a script",
        evidence=f"status {done.returncode}: {done.stderr.decode(errors='replace').strip()[-300:]}",
        next_step="where its entry has sudo = true: sudo may ask for a password, and is never given one",
    )


def _unlike(name: str, line: str) -> InfraError:
    return InfraError(
        f"what {name} says of itself cannot be read",
        evidence=repr(line[:200]),
        next_step="its login must say nothing of its own, and have sh, od and the usual small programs",
    )
