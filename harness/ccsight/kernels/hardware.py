"""Our kernel module (``guests/module/``), as it is made for one kernel: its sources, what make is told.

It reads the physical CPUs' registers in the host's own kernel. A kernel without it is still a kernel.
"""

import hashlib
import shutil
from functools import cache
from pathlib import Path

from ccsight.kernels import kconfig
from ccsight.paths import data_dir
from ccsight.store import write_atomically

NAME = "ccsight_hardware.ko"
#: What is compiled, below ``guests/``.
_SOURCES = ("include/wire.h", "module/Kbuild", "module/ccsight_hardware.c")


@cache
def sources() -> dict[str, bytes]:
    """Return what is compiled, by name; once read, so that what is built is what was hashed."""
    return {name: (data_dir("guests") / name).read_bytes() for name in _SOURCES}


def identity() -> str:
    """Return the hash of the module's sources."""
    digest = hashlib.sha256()
    for name, content in sources().items():
        digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()


def loads_modules(config: str) -> bool:
    """Return whether a kernel with this .config loads modules."""
    return kconfig.read_values(config).get("MODULES") == "y"


def preparation(config: str) -> list[str]:
    """Return what make has to do along with the kernel, so that modules can be built against it."""
    return ["modules_prepare"] if loads_modules(config) else []


def put_sources(folder: Path) -> Path:
    """Put the sources into a folder, where nothing of another kernel is left; return where to build."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in sources().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / name, content)
    return folder / "module"


def goals(where: Path, tree: Path, *, whole: bool) -> list[str]:
    """Return what make is told, in the kernel's tree, to build ``NAME`` in the folder ``where``.

    ``whole`` is whether the modules of the tree have been built: its list of all symbols is then there.
    """
    # else vmlinux's own list of symbols: the tree's whole one would take another pass over everything
    listed = [] if whole else [f"KBUILD_EXTRA_SYMBOLS={tree / 'vmlinux.symvers'}"]
    return [f"M={where}", *listed, "modules"]
