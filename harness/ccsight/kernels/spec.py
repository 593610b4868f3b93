"""Kernel specs: what each kind takes, and who resolves it. A new kind is a new row."""

from collections.abc import Callable
from dataclasses import dataclass

from ccsight import specs
from ccsight.deadline import Deadline
from ccsight.kernels import built, deb, files, machine_config, running, source, stored
from ccsight.kernels.model import Kernel
from ccsight.specs import Spec
from ccsight.toolbox.tools import Report


@dataclass(frozen=True)
class Kind:
    """A kind of kernel spec: its value, its own options, what makes a Kernel of it, what names it again.

    A kind of which there is only one has no ``value``; one that stands ``alone`` may have none.
    """

    value: str
    options: frozenset[str]
    resolve: Callable[[Spec, Deadline, Report], Kernel]
    pin: Callable[[Kernel], str]
    alone: bool = False


#: Options that every kind takes.
COMMON = frozenset({"append", "name"})

#: The kinds whose kernels are built here; a new one is a row of ``source.KINDS``.
SOURCES = tuple(source.KINDS)

KINDS = {
    "deb": Kind("SERIES", frozenset({"flavour"}), deb.resolve, deb.pin),
    **{
        name: Kind(kind.value, built.OPTIONS | kind.options, built.resolve, built.pin)
        for name, kind in source.KINDS.items()
    },
    "image": Kind("FILE", frozenset({"modules"}), files.resolve, files.pin),
    running.RUNNING: Kind("NAME", running.OPTIONS, running.resolve, running.pin, alone=True),
    stored.BUILT: Kind("KEY", frozenset(), built.from_store, built.pin),
}

#: Options that make a kernel another one than its base.
_CHANGES = frozenset({"patch", "revert", "kconfig"})


def parse(text: str) -> Spec:
    """Parse a kernel spec. Raises UsageError naming the nearest kind or option."""
    forms = {name: specs.Form(kind.options | COMMON, kind.value, kind.alone) for name, kind in KINDS.items()}
    return specs.parse(text, forms, "kernel")


def base(text: str) -> str:
    """Return the spec of what a kernel was made from by patches or options, "" for a kernel without those.

    The configuration of a machine is no change: without it, the base would not boot there.
    """
    spec = parse(text)
    if not any(map(_changes, spec.options)):
        return ""
    kept = tuple(option for option in spec.options if not _changes(option) and option[0] != "name")
    return specs.render(spec.kind, spec.value, kept)


def _changes(option: tuple[str, str]) -> bool:
    key, value = option
    return key in _CHANGES and not (key == "kconfig" and value.startswith(machine_config.PREFIX))


def base_of(kernel: Kernel) -> str:
    """Return the spec of what a kernel was made from, for a plan: no machine is asked for it again."""
    fragments = kernel.build.fragments if kernel.build else ()
    return _pinned(base(kernel.spec.text), machine_config.named(fragments))


def settled(text: str, deadline: Deadline, report: Report) -> str:
    """Return a spec that asks no machine any more: ``kconfig=machine:NAME=HASH`` is what it says now.

    For what is resolved again later, when the machine may run another kernel. Raises what
    ``machine_config.of`` does.
    """
    value = machine_config.named(parse(text).all("kconfig"))
    return _pinned(text, machine_config.of(value, deadline, report).pinned) if value else text


def _pinned(text: str, machine: str) -> str:
    """Return a spec with this for its ``kconfig=machine:NAME``; one that has none as it is."""
    if not (text and machine):
        return text
    spec = parse(text)
    named = machine_config.named(spec.all("kconfig"))
    options = tuple((key, machine if value == named else value) for key, value in spec.options)
    return specs.render(spec.kind, spec.value, options) if named else text


def resolve(text: str, deadline: Deadline, report: Report) -> Kernel:
    """Return the kernel that a spec means, fetched and unpacked if it was not.

    ``report`` is told what is downloaded and how big it is. Raises UsageError (a spec that means
    nothing), ArchiveError, NoSpace or DeadlineExceeded.
    """
    spec = parse(text)
    return KINDS[spec.kind].resolve(spec, deadline, report)


def pin(kernel: Kernel) -> str:
    """Return the spec that gives this very kernel again, however the archive moves on.

    One that its own kind does not take is refused now, by UsageError, rather than when a run is resumed.
    """
    return parse(KINDS[kernel.spec.kind].pin(kernel)).text
