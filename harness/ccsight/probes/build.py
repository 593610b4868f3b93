"""Compiles ``guests/`` once per source and compiler: the probe, and an image of each bare guest.

The probe is made twice, of the same parts: ``ccprobe``, a static program that goes to any machine, and
``ccprobe.so`` for the machine that ccsight itself runs on. A new source file needs nothing here:
``vmm/*.c`` make the probe, each ``bare/*.c`` a guest of its own; a ``bare/*.S`` is one that stands on
nothing of ours. ``linux/*.c`` are the one program of a Linux guest.
"""

import hashlib
import platform
from pathlib import Path

from ccsight import store
from ccsight.deadline import Deadline
from ccsight.errors import ToolMissing
from ccsight.paths import cache_dir, data_dir
from ccsight.process import run

PROBE = "ccprobe"
LIBRARY = "ccprobe.so"
_NATIVE = ("aarch64", "arm64")
#: The program's own; all else is the library, too.
_MAIN = "vmm/main.c"
#: The first program of a Linux guest, and what it has in common with the probe.
LINUX_INIT = "linux-init"
_INIT_PARTS = ("vmm/cpus.c", "vmm/errors.c", "vmm/files.c", "vmm/leaves.c")

# Nothing of the place or the time of a build gets into its product: equal sources make equal hashes.
_COMMON = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-g0", "-Iinclude", "-Wl,--build-id=none")
_PROBE_FLAGS = (*_COMMON, "-Ivmm", "-Os", "-ffunction-sections", "-fdata-sections")
_PARTS_FLAGS = (*_PROBE_FLAGS, "-fPIC", "-fvisibility=hidden", "-r")
_LINK_FLAGS = (*_PROBE_FLAGS, "-s", "-Wl,--gc-sections")
_PROGRAM_FLAGS = (*_LINK_FLAGS, "-static")  # it runs on whatever userland the machine has
_LIBRARY_FLAGS = (*_LINK_FLAGS, "-shared", "-Wl,-z,defs")
_GUEST_FLAGS = (
    *_COMMON,
    "-Ibare/common",
    "-O2",
    "-ffreestanding",
    "-fpie",
    "-mgeneral-regs-only",
    "-mstrict-align",  # with the MMU off all memory is Device memory, which faults on unaligned accesses
    "-fno-stack-protector",
    "-Wframe-larger-than=1024",  # a vCPU has 4 KiB of stack, and nothing guards its end
    "-fno-asynchronous-unwind-tables",
    "-nostdlib",
    "-static-pie",
    "-Wl,--no-dynamic-linker,-T,bare/common/guest.lds",
)


def built(deadline: Deadline) -> Path:
    """Return the folder that holds both forms of the probe and a ``NAME.img`` of each bare guest.

    It is compiled if need be. Without a compiler for arm64 it is what some other compiler has made of these
    very sources, if that was copied into the cache; else ToolMissing. Raises ProcessFailed with the
    compiler's words when it fails.
    """
    source = data_dir("guests")
    prefix = "" if platform.machine() in _NATIVE else "aarch64-linux-gnu-"
    try:
        key = cache_key(source, _compiler(prefix, deadline))
    except ToolMissing:
        given = sorted((cache_dir() / "guests").glob(f"{recipe(source)}-*/{LIBRARY}"))
        if not given:
            raise
        return given[0].parent
    return store.entry("guests", key, lambda folder: _compile(source, folder, prefix, deadline), deadline)


def _compiler(prefix: str, deadline: Deadline) -> str:
    """Return the compiler's name and version."""
    try:
        return run([f"{prefix}gcc", "--version"], deadline).text.splitlines()[0]
    except ToolMissing as missing:
        packages = "gcc-aarch64-linux-gnu libc6-dev-arm64-cross" if prefix else "gcc libc6-dev"
        raise ToolMissing(
            "no compiler for arm64, which the probe needs",
            evidence=f"{missing.fact}; nothing made elsewhere of these sources in {cache_dir() / 'guests'}",
            next_step=f"apt-get install {packages}",
        ) from None


def cache_key(source: Path, compiler: str) -> str:
    """Return the name of what this compiler makes of these sources."""
    return f"{recipe(source)}-{hashlib.sha256(compiler.encode()).hexdigest()[:16]}"


def recipe(source: Path) -> str:
    """Return the hash of all that goes into the programs but the compiler."""
    flags = (_PARTS_FLAGS, _PROGRAM_FLAGS, _LIBRARY_FLAGS, _GUEST_FLAGS, _INIT_PARTS)
    digest = hashlib.sha256(repr(flags).encode())
    for path in sorted(source.rglob("*")):
        if path.suffix in (".c", ".h", ".S", ".lds"):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(source).as_posix()} {content}\n".encode())
    return digest.hexdigest()[:16]


def _compile(source: Path, folder: Path, prefix: str, deadline: Deadline) -> None:
    """Compile the guests first: a mistake in one of them shows before all that takes longer."""
    _compile_guests(source, folder, prefix, deadline)
    sources = [path for path in _sources(source, "vmm/*.c") if path != _MAIN]
    merged = folder / "parts.o"
    _run([f"{prefix}gcc", *_PARTS_FLAGS, "-o", str(merged), *sources], source, deadline)
    _run([f"{prefix}gcc", *_PROGRAM_FLAGS, "-o", str(folder / PROBE), _MAIN, str(merged)], source, deadline)
    _run([f"{prefix}gcc", *_LIBRARY_FLAGS, "-o", str(folder / LIBRARY), str(merged)], source, deadline)
    merged.unlink()
    init = [*_sources(source, "linux/*.c"), *_INIT_PARTS]
    _run([f"{prefix}gcc", *_PROGRAM_FLAGS, "-o", str(folder / LINUX_INIT), *init], source, deadline)


def _compile_guests(source: Path, folder: Path, prefix: str, deadline: Deadline) -> None:
    """Make an image of each bare guest; what they have in common is compiled once."""
    common = {path: folder / f"{Path(path).name}.o" for path in _sources(source, "bare/common/*.[cS]")}
    for path, part in common.items():
        _run([f"{prefix}gcc", *_GUEST_FLAGS, "-c", "-o", str(part), path], source, deadline)
    guests = {guest: [*map(str, common.values()), guest] for guest in _sources(source, "bare/*.c")}
    guests |= {guest: [guest] for guest in _sources(source, "bare/*.S")}
    for guest, parts in guests.items():
        linked = folder / f"{Path(guest).stem}.elf"
        image = linked.with_suffix(".img")
        _run([f"{prefix}gcc", *_GUEST_FLAGS, "-o", str(linked), *parts], source, deadline)
        _run([f"{prefix}objcopy", "-O", "binary", "-j", ".image", str(linked), str(image)], source, deadline)
        linked.unlink()
    for part in common.values():
        part.unlink()


def _sources(source: Path, pattern: str) -> list[str]:
    """Return files relative to ``source``, in an order that does not depend on the disk."""
    return sorted(path.relative_to(source).as_posix() for path in source.glob(pattern))


def _run(argv: list[str], source: Path, deadline: Deadline) -> None:
    run(argv, deadline, cwd=source, env={"LC_ALL": "C"})
