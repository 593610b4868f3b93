"""``running``: the kernel that this very machine runs, ``running:NAME`` that of a machine of the inventory.

Nothing is fetched, and nobody boots it. It is known by what it says of itself: an image is not looked for, as
nothing proves which file it was started from.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ccsight import specs
from ccsight.deadline import Deadline
from ccsight.errors import InfraError, UsageError, reason
from ccsight.kernels.model import Kernel
from ccsight.specs import Spec
from ccsight.toolbox.tools import Report

RUNNING = "running"
#: ``build-id`` is what a run writes down, so that another kernel is not taken for the same one later.
OPTIONS = frozenset({"build-id"})

_NOTES = Path("/sys/kernel/notes")
_VERSION = Path("/proc/version")
#: The note of the linker's --build-id; the "Linux" notes beside it have other names and types.
_BUILD_ID = re.compile(rb"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0(.{20})", re.DOTALL)


@dataclass(frozen=True)
class Stands:
    """What a kernel that runs says of itself: ``uname -r``, /proc/version, and /sys/kernel/notes."""

    release: str
    banner: str
    notes: bytes

    @property
    def build_ids(self) -> frozenset[str]:
        """The GNU build-ids in the notes, in hex."""
        return frozenset(match[1].hex() for match in _BUILD_ID.finditer(self.notes))


#: Asks a machine, by its name, what it runs.
Ask = Callable[[str, Deadline, Report], Stands]
_ASKS: list[Ask] = []


def others_are_asked_by(ask: Ask) -> None:
    """Say who asks other machines: how they are reached is known above this layer."""
    _ASKS[:] = [ask]


def resolve(spec: Spec, deadline: Deadline, report: Report) -> Kernel:
    """Return the running kernel. Raises UsageError when it is not the one that the spec pins."""
    if spec.option("append") is not None:
        raise UsageError(
            f"a running kernel takes no command line: in {spec.text!r}", next_step="leave append= out"
        )
    stands = _there(spec, deadline, report) if spec.value else _here()
    pinned = spec.option("build-id")
    if pinned is not None and pinned not in stands.build_ids:
        raise UsageError(
            f"{spec.value or 'this machine'} runs another kernel than when the run was planned",
            evidence=f"{stands.release} (build-id {' '.join(stands.build_ids) or 'none'}), planned {pinned}",
            next_step=f"boot that kernel, or start anew: ccsight capture --on {spec.value or 'local'}",
        )
    return Kernel(
        spec,
        label=spec.option("name") or spec.text,
        release=stands.release,
        image=_VERSION,
        image_sha256="",
        build_ids=stands.build_ids,
        banner=stands.banner,
    )


def _here() -> Stands:
    banner = _read(_VERSION).decode(errors="replace").strip()
    return Stands(os.uname().release, banner, _read(_NOTES))


def _there(spec: Spec, deadline: Deadline, report: Report) -> Stands:
    for ask in _ASKS:
        return ask(spec.value, deadline, report)
    raise UsageError(
        f"{spec.text} is a kernel that nobody here can ask",
        next_step=f"ccsight capture --on {spec.value}",
    )


def pin(kernel: Kernel) -> str:
    """Return the spec that is refused when that machine runs another kernel."""
    return specs.render(
        RUNNING, kernel.spec.value, tuple(("build-id", build_id) for build_id in kernel.build_ids)
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InfraError(
            "the running kernel cannot be identified",
            evidence=reason(error),
            next_step="mount /proc and /sys",
        ) from error
