"""From a machine spec to a machine. A new kind of machine is one row here and one file."""

from collections.abc import Callable
from dataclasses import dataclass

from ccsight import specs
from ccsight.deadline import Deadline
from ccsight.machines import emulated
from ccsight.machines.model import Machine, Report
from ccsight.specs import Spec


@dataclass(frozen=True)
class _Kind:
    """A kind of machine: the option keys its specs take, what makes one, and which ones there are."""

    options: frozenset[str]
    make: Callable[[Spec], Machine]
    known: Callable[[Deadline, Report], list[str]]


_KINDS = {
    "emulated": _Kind(emulated.OPTIONS, emulated.EmulatedMachine, emulated.known),
}


def parse(text: str) -> Spec:
    """Parse a machine spec. Raises UsageError naming the nearest kind or key."""
    return specs.parse(text, {name: kind.options for name, kind in _KINDS.items()}, "machine")


def machine(text: str) -> Machine:
    """Return the machine that a spec names; nothing is started. Raises UsageError."""
    spec = parse(text)
    return _KINDS[spec.kind].make(spec)


def known(deadline: Deadline, report: Report) -> list[str]:
    """Return the specs of all machines that can be asked for, without options."""
    return [spec for kind in _KINDS.values() for spec in kind.known(deadline, report)]
