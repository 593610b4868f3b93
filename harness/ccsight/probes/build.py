"""Compiles ``guests/`` once per source and compiler: the probe ``ccprobe``, and an image of each bare guest.

A new source file needs nothing here: ``vmm/*.c`` make the probe, each ``bare/*.c`` a guest of its own;
a ``bare/*.S`` is one that stands on nothing of ours.
"""

import hashlib
import platform
from pathlib import Path

from ccsight import store
from ccsight.deadline import Deadline
from ccsight.errors import ToolMissing
from ccsight.paths import data_dir
from ccsight.process import run

PROBE = "ccprobe"
_NATIVE = ("aarch64", "arm64")

# Nothing of the place or the time of a build gets into its product: equal sources make equal hashes.
_COMMON = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-g0", "-Iinclude", "-Wl,--build-id=none")
_PROBE_FLAGS = (
    *_COMMON,
    "-Ivmm",
    "-Os",
    "-ffunction-sections",
    "-fdata-sections",
    "-static",  # it runs on whatever userland the machine has
    "-s",
    "-Wl,--gc-sections",
)
_GUEST_FLAGS = (
    *_COMMON,
    "-Ibare/common",
    "-O2",
    "-ffreestanding",
    "-fpie",
    "-mgeneral-regs-only",
    "-mstrict-align",  # with the MMU off all memory is Device memory, which faults on unaligned accesses
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-nostdlib",
    "-static-pie",
    "-Wl,--no-dynamic-linker,-T,bare/common/guest.lds",
)


def built(deadline: Deadline) -> Path:
    """Return the folder that holds ``ccprobe`` and a ``NAME.img`` of each bare guest, compiled if need be.

    Raises ToolMissing without a compiler for arm64, ProcessFailed with its words when it fails.
    """
    source = data_dir("guests")
    prefix = "" if platform.machine() in _NATIVE else "aarch64-linux-gnu-"
    key = _key(source, _compiler(prefix, deadline))
    return store.entry("guests", key, lambda folder: _compile(source, folder, prefix, deadline), deadline)


def _compiler(prefix: str, deadline: Deadline) -> str:
    """Return the compiler's name and version."""
    try:
        return run([f"{prefix}gcc", "--version"], deadline).text.splitlines()[0]
    except ToolMissing as missing:
        packages = "gcc-aarch64-linux-gnu libc6-dev-arm64-cross" if prefix else "gcc libc6-dev"
        raise ToolMissing(
            "no compiler for arm64, which the probe needs",
            evidence=missing.fact,
            next_step=f"apt-get install {packages}",
        ) from None


def _key(source: Path, compiler: str) -> str:
    """Return the hash of all that goes into the programs."""
    digest = hashlib.sha256(repr((compiler, _PROBE_FLAGS, _GUEST_FLAGS)).encode())
    for path in sorted(source.rglob("*")):
        if path.suffix in (".c", ".h", ".S", ".lds"):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(source).as_posix()} {content}\n".encode())
    return digest.hexdigest()[:32]


def _compile(source: Path, folder: Path, prefix: str, deadline: Deadline) -> None:
    probe = _sources(source, "vmm/*.c")
    _run([f"{prefix}gcc", *_PROBE_FLAGS, "-o", str(folder / PROBE), *probe], source, deadline)
    common = _sources(source, "bare/common/*.[cS]")
    guests = {guest: [*common, guest] for guest in _sources(source, "bare/*.c")}
    guests |= {guest: [guest] for guest in _sources(source, "bare/*.S")}
    for guest, parts in guests.items():
        linked = folder / f"{Path(guest).stem}.elf"
        image = linked.with_suffix(".img")
        _run([f"{prefix}gcc", *_GUEST_FLAGS, "-o", str(linked), *parts], source, deadline)
        _run([f"{prefix}objcopy", "-O", "binary", "-j", ".image", str(linked), str(image)], source, deadline)
        linked.unlink()


def _sources(source: Path, pattern: str) -> list[str]:
    """Return files relative to ``source``, in an order that does not depend on the disk."""
    return sorted(path.relative_to(source).as_posix() for path in source.glob(pattern))


def _run(argv: list[str], source: Path, deadline: Deadline) -> None:
    run(argv, deadline, cwd=source, env={"LC_ALL": "C"})
