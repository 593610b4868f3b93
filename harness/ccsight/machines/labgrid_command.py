"""How labgrid's own client is called, word by word: for its places, and as the command of an inventory."""

import os
import sys
from pathlib import Path

_PROGRAM = "labgrid-client"


def command(coordinator: str, place: str, *words: str) -> tuple[str, ...]:
    """Return the argv that asks a coordinator for something of a place; "" for none, or labgrid's own."""
    to = ("-x", coordinator or default())
    return (program(), *to, *(("-p", place) if place else ()), *words)


def power(coordinator: str, place: str) -> tuple[str, ...]:
    """Return the argv that turns a place off and on, by whichever driver its resources take."""
    return command(coordinator, place, "power", "cycle")


def console(coordinator: str, place: str) -> tuple[str, ...]:
    """Return the argv that yields the console of a place, and types nothing."""
    return command(coordinator, place, "console", "--listenonly")


def default() -> str:
    """Return the coordinator that labgrid takes where nobody says one."""
    return os.environ.get("LG_COORDINATOR") or "127.0.0.1:20408"


def program() -> str:
    """Return labgrid's client: the one beside our Python, which PATH need not know."""
    beside = Path(sys.executable).with_name(_PROGRAM)
    return str(beside) if beside.exists() else _PROGRAM
