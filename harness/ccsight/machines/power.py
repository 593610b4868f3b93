"""The power switch of a machine: a command of the inventory that takes its power away and gives it back."""

from pathlib import Path

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import DeadlineExceeded, InfraError
from ccsight.machines.inventory_rows import Words

#: Bytes that the command may say on each stream.
_SAID_MAX = 1 << 16


class PowerFailed(InfraError):
    """A power command did not do what it is there for."""

    advice = "nobody knows whether the machine has power: see it by hand"


def cycle(argv: Words, deadline: Deadline) -> None:
    """Run a power command to its end. Raises PowerFailed with what it said, or ToolMissing.

    That it ended well proves nothing of the machine: whoever asked for it looks for another boot there.
    """
    try:
        done = process.run(argv, deadline, expect=None, limit=_SAID_MAX)
    except DeadlineExceeded as error:
        raise PowerFailed(
            f"the power command did not end within {deadline.seconds:.0f} s", evidence=_name(argv)
        ) from error
    except process.OutputTooLong as error:
        raise PowerFailed(
            f"the power command said more than {_SAID_MAX} bytes, and was ended", evidence=_name(argv)
        ) from error
    if done.returncode:
        raise PowerFailed(
            f"the power command ended with status {done.returncode}",
            evidence=f"{_name(argv)}: {printable(done.stderr or done.stdout)}",
        )


def _name(argv: Words) -> str:
    """Return what a command is called: no more of it, for there may be a password in it."""
    return Path(argv[0]).name


def printable(said: bytes, most: int = 300) -> str:
    """Return the end of what a command said on one line, without what would move a terminal."""
    words = " / ".join(said.decode(errors="replace").split("\n")).strip(" /")
    clean = "".join(letter if letter.isprintable() else "." for letter in words)
    return clean[-most:] or "it said nothing"
