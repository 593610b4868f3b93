"""Kernel specs: what each kind takes, and who resolves it. A new kind is a new row."""

from collections.abc import Callable
from dataclasses import dataclass

from ccsight import specs
from ccsight.deadline import Deadline
from ccsight.kernels import built, deb, files, running, stored
from ccsight.kernels.model import Kernel
from ccsight.specs import Spec
from ccsight.toolbox.tools import Report


@dataclass(frozen=True)
class Kind:
    """A kind of kernel spec: its own options, what makes a Kernel of it, what names that very one again.

    ``alone`` is a kind of which there is only one: it takes no value.
    """

    options: frozenset[str]
    resolve: Callable[[Spec, Deadline, Report], Kernel]
    pin: Callable[[Kernel], str]
    alone: bool = False


#: Options that every kind takes.
COMMON = frozenset({"append", "name"})

KINDS = {
    "deb": Kind(frozenset({"flavour"}), deb.resolve, deb.pin),
    "deb-src": Kind(built.OPTIONS, built.resolve, built.pin),
    "git": Kind(built.OPTIONS | {"ref", "revert"}, built.resolve, built.pin),
    "tree": Kind(built.OPTIONS, built.resolve, built.pin),
    "image": Kind(frozenset({"modules"}), files.resolve, files.pin),
    running.RUNNING: Kind(running.OPTIONS, running.resolve, running.pin, alone=True),
    stored.BUILT: Kind(frozenset(), built.from_store, built.pin),
}

#: The kinds whose kernels are built here.
SOURCES = ("deb-src", "git", "tree")

#: Options that make a kernel another one than its base.
_CHANGES = frozenset({"patch", "revert", "kconfig"})


def parse(text: str) -> Spec:
    """Parse a kernel spec. Raises UsageError naming the nearest kind or option."""
    alone = [name for name, kind in KINDS.items() if kind.alone]
    return specs.parse(text, {name: kind.options | COMMON for name, kind in KINDS.items()}, "kernel", alone)


def base(text: str) -> str:
    """Return the spec of what a kernel was made from by patches or options, "" for a kernel without those."""
    spec = parse(text)
    if not any(key in _CHANGES for key, _ in spec.options):
        return ""
    kept = tuple(option for option in spec.options if option[0] not in _CHANGES | {"name"})
    return specs.render(spec.kind, spec.value, kept)


def resolve(text: str, deadline: Deadline, report: Report) -> Kernel:
    """Return the kernel that a spec means, fetched and unpacked if it was not.

    ``report`` is told what is downloaded and how big it is. Raises UsageError (a spec that means
    nothing), ArchiveError, NoSpace or DeadlineExceeded.
    """
    spec = parse(text)
    return KINDS[spec.kind].resolve(spec, deadline, report)


def pin(kernel: Kernel) -> str:
    """Return the spec that gives this very kernel again, however the archive moves on."""
    return KINDS[kernel.spec.kind].pin(kernel)
