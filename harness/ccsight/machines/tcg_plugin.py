"""The plugin that gives emulated CPUs the registers of a real core: compiled here, tried on a QEMU.

``plugin/silicon.c`` declares by itself what it uses of QEMU's plugin interface, of which each version was
different so far. So it is only loaded into a QEMU whose version of the interface it was tried with.
"""

import hashlib
import re
from pathlib import Path

from ccsight import process, store
from ccsight.deadline import Deadline
from ccsight.errors import ToolMissing, UsageError
from ccsight.toolbox.qemu import Qemu, identity

#: Version of the plugin interface -> the QEMU with which it was tried. ``QEMU_API`` of plugin/qemu.h is one.
API_TRIED = {7: "11.1"}

SOURCES = Path(__file__).with_name("plugin")
_PLUGIN = "silicon.so"
_FLAGS = (
    "-std=gnu11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-g0",
    "-shared",
    "-fPIC",
    "-fvisibility=hidden",
)
SAID = re.compile(r"ccsight-silicon: plugin API (\d+) to (\d+),")


def plugin(tool: Qemu, deadline: Deadline) -> Path:
    """Return the plugin for a QEMU, compiled and tried if nobody has done so.

    Raises ToolMissing without a C compiler, UsageError for a QEMU whose plugin interface was never tried.
    """
    digest = hashlib.sha256(f"{_compiler(deadline)}\0{_FLAGS}\0{identity(tool)}".encode())
    for source in sorted(SOURCES.glob("*.[ch]")):
        digest.update(source.read_bytes())

    def fill(folder: Path) -> None:
        compiled(folder / _PLUGIN, deadline)
        _try(tool, folder / _PLUGIN, deadline)

    return store.entry("plugins", digest.hexdigest()[:32], fill, deadline) / _PLUGIN


def option(path: Path) -> str:
    """Return a plugin's path as QEMU's -plugin takes it: a comma would end it."""
    return str(path).replace(",", ",,")


def _compiler(deadline: Deadline) -> str:
    """Return the name and version of this system's compiler."""
    try:
        return process.run(["gcc", "--version"], deadline).text.splitlines()[0]
    except ToolMissing as missing:
        raise ToolMissing(
            "no compiler for this system, which the plugin for silicon: machines needs",
            evidence=missing.fact,
            next_step="apt-get install gcc libc6-dev",
        ) from None


def compiled(to: Path, deadline: Deadline) -> None:
    """Compile the plugin into a file. Raises ToolMissing, or ProcessFailed with the compiler's words."""
    sources = [path.name for path in sorted(SOURCES.glob("*.c"))]
    process.run(["gcc", *_FLAGS, "-o", str(to), *sources], deadline, cwd=SOURCES, env={"LC_ALL": "C"})


def _try(tool: Qemu, path: Path, deadline: Deadline) -> None:
    """Ask QEMU which versions of the interface it has: without a table the plugin says so, and QEMU ends."""
    said = process.run(
        [*tool.argv, "-M", "none", "-display", "none", "-plugin", option(path)],
        deadline.within(20),
        expect=None,
    ).stderr.decode(errors="replace")
    found = SAID.search(said)
    if found and int(found[2]) in API_TRIED:
        return
    tried = ", ".join(f"{api} (QEMU {version})" for api, version in API_TRIED.items())
    raise UsageError(
        f"QEMU {tool.version_text} cannot take the plugin of silicon: machines, "
        f"which was tried with plugin API {tried}",
        evidence=said.strip()[-300:],
        next_step="unset CCSIGHT_QEMU to let ccsight fetch one, or take emulated:MODEL",
    )
