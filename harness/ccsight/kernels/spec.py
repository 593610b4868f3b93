"""Kernel specs: what each kind takes, and who resolves it. A new kind is a new row."""

from collections.abc import Callable
from dataclasses import dataclass

from ccsight import specs
from ccsight.deadline import Deadline
from ccsight.kernels import built, deb, files, stored
from ccsight.kernels.model import Kernel
from ccsight.specs import Spec
from ccsight.toolbox.tools import Report


@dataclass(frozen=True)
class Kind:
    """A kind of kernel spec: its own options, what makes a Kernel of it, what names that very one again."""

    options: frozenset[str]
    resolve: Callable[[Spec, Deadline, Report], Kernel]
    pin: Callable[[Kernel], str]


#: Options that every kind takes.
COMMON = frozenset({"append", "name"})

KINDS = {
    "deb": Kind(frozenset({"flavour"}), deb.resolve, deb.pin),
    "deb-src": Kind(built.OPTIONS, built.resolve, built.pin),
    "git": Kind(built.OPTIONS | {"ref", "revert"}, built.resolve, built.pin),
    "tree": Kind(built.OPTIONS, built.resolve, built.pin),
    "image": Kind(frozenset({"modules"}), files.resolve, files.pin),
    stored.BUILT: Kind(frozenset(), built.from_store, built.pin),
}

#: The kinds whose kernels are built here.
SOURCES = ("deb-src", "git", "tree")


def parse(text: str) -> Spec:
    """Parse a kernel spec. Raises UsageError naming the nearest kind or option."""
    return specs.parse(text, {name: kind.options | COMMON for name, kind in KINDS.items()}, "kernel")


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
