"""What was proved of a machine before it may be booted with nobody looking: that it comes back by itself.

It is written down on the machine, so that whoever else boots it knows.
"""

from typing import Annotated

import msgspec

from ccsight.deadline import Deadline
from ccsight.errors import InfraError
from ccsight.evidence.record import Record, from_json, to_json_line
from ccsight.machines.root import Root

PLACE = "/var/lib/ccsight/admitted"
_Word = Annotated[str, msgspec.Meta(max_length=60)]


class Admission(Record, frozen=True):
    """How a machine came back, each way seen: its *recovery class*; by which method it had been booted."""

    method: _Word
    recovery: tuple[_Word, ...]
    release: _Word
    by: _Word
    at: _Word


def parse(text: str) -> Admission | None:
    """Return what is written down on a machine, None where nothing is, or nothing that can be read."""
    try:
        return from_json(text.encode(), Admission)
    except msgspec.MsgspecError:
        return None


def recovery(method: str, found: Admission | None) -> tuple[str, ...]:
    """Return what a machine was seen to come back by from boots by this method: its recovery class."""
    return found.recovery if found and found.method == method else ()


def write(root: Root, admission: Admission, deadline: Deadline) -> None:
    """Write it down on the machine. Raises RootFailed."""
    text = to_json_line(admission).decode().strip()
    script = 'mkdir -p "${2%/*}"; printf "%s\\n" "$1" >"$2.new"; mv "$2.new" "$2"'
    root.run("writing down that it was admitted", script, text, PLACE, deadline=deadline)


def prove(name: str, method: str, found: Admission | None) -> None:
    """Raise InfraError for a machine of which nobody has seen that it comes back from such a boot."""
    if recovery(method, found):
        return
    raise InfraError(
        f"{name} has not been admitted to be booted by {method}",
        evidence=f"it was for {found.method}, by {found.by}"
        if found
        else "nobody has seen that it comes back",
        next_step=f"ccsight machines admit {name}; or, while you look on: --on {name},attended=on",
    )
