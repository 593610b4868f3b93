"""``running``: the kernel that this very machine runs. Nothing is fetched, and nobody boots it.

It is known by what it says of itself: an image is not looked for, as nothing proves which file it was
started from.
"""

import os
import re
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


def resolve(spec: Spec, deadline: Deadline, report: Report) -> Kernel:
    """Return the running kernel. Raises UsageError when it is not the one that the spec pins."""
    if spec.option("append") is not None:
        raise UsageError(
            f"a running kernel takes no command line: in {spec.text!r}", next_step="leave append= out"
        )
    build_ids = frozenset(match[1].hex() for match in _BUILD_ID.finditer(_read(_NOTES)))
    pinned = spec.option("build-id")
    if pinned is not None and pinned not in build_ids:
        raise UsageError(
            "this machine runs another kernel than when the run was planned",
            evidence=f"{os.uname().release} (build-id {' '.join(build_ids) or 'none'}), planned {pinned}",
            next_step="boot that kernel, or start anew: ccsight capture --on local",
        )
    return Kernel(
        spec,
        label=spec.option("name") or spec.text,
        release=os.uname().release,
        image=_VERSION,
        image_sha256="",
        build_ids=build_ids,
        banner=_read(_VERSION).decode(errors="replace").strip(),
    )


def pin(kernel: Kernel) -> str:
    """Return the spec that is refused when this machine runs another kernel."""
    return specs.render(RUNNING, "", tuple(("build-id", build_id) for build_id in kernel.build_ids))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InfraError(
            "the running kernel cannot be identified",
            evidence=reason(error),
            next_step="mount /proc and /sys",
        ) from error
