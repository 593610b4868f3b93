"""From a kernel spec to the source that is built: its base, then its patches and reverts in their order.

A new kind of source is a row of ``KINDS`` here, and nowhere else.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import UsageError
from ccsight.evidence.model import PatchFacts
from ccsight.kernels import deb_src, git_ref, objects, patching, tree
from ccsight.kernels.objects import Source
from ccsight.specs import Spec
from ccsight.toolbox.tools import Report

__all__ = ["KINDS", "Inputs", "Kind", "Source", "resolve_source"]


@dataclass(frozen=True)
class Kind:
    """A kind of spec whose kernel is built here: its value, what finds the source, its own options."""

    value: str
    resolve: Callable[[Spec, Deadline, Report], Source]
    options: frozenset[str] = frozenset()


KINDS = {
    "deb-src": Kind("SERIES", deb_src.resolve),
    "git": Kind("PATH,ref=REF", git_ref.resolve, frozenset({"ref", "revert"})),
    "tree": Kind("PATH", tree.resolve),
}
#: What every kernel's source has at its top.
_MARKS = ("Kconfig", "Makefile", "arch/arm64")


@dataclass(frozen=True)
class Inputs:
    """What a spec says to build: the source with its patches, and the base without any."""

    base: Source
    source: Source
    patches: tuple[PatchFacts, ...]


def resolve_source(spec: Spec, deadline: Deadline, report: Report) -> Inputs:
    """Return the source that a spec of one of these ``KINDS`` means, imported if it was not.

    Options ``patch=`` and ``revert=`` are applied in the order in which the spec has them. Raises
    UsageError (not a kernel's source, an unknown ref, a patch that does not apply), ArchiveError,
    NoSpace or DeadlineExceeded.
    """
    base = KINDS[spec.kind].resolve(spec, deadline, report)
    missing = sorted(set(_MARKS) - objects.present(base, _MARKS, deadline))
    if missing:
        raise UsageError(
            f"{spec.text} is not the source of an arm64 kernel",
            evidence=f"it has no {', '.join(missing)}",
            next_step="name the top of the tree, where Makefile and Kconfig lie",
        )
    source, patches = base, tuple[PatchFacts, ...]()
    for key, value in spec.options:
        if key == "patch":
            patchset = patching.read(Path(value).expanduser())
            source = patching.apply(source, patchset, deadline, base)
            patches += tuple(
                PatchFacts(subject=each.subject, sha256=each.sha256) for each in patchset.patches
            )
        elif key == "revert":
            source, commit, subject = git_ref.revert(source, Path(spec.value), value, deadline)
            named = hashlib.sha256(commit.encode()).hexdigest()
            patches += (PatchFacts(subject=f'Revert {commit[:12]} ("{subject}")', sha256=named),)
    return Inputs(base, source, patches)
