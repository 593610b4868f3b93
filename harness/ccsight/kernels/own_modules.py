"""The modules of a kernel that was built on a machine's configuration: what make does, what is kept of it.

A kernel of our own configuration has none.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from ccsight.errors import InfraError
from ccsight.store import write_atomically

#: Where they lie in a stored kernel: what is ``lib/modules/RELEASE`` on a machine.
FOLDER = "modules"
_INSTALLED = "installed"


def variables(key: str) -> list[str]:
    """Return what make is told so that the release, where modules lie, is this build's alone."""
    return [f"LOCALVERSION=-ccsight-{key}"]


def trimming(folder: Path, loaded: Iterable[str]) -> list[str]:
    """Return what make is told to switch off the modules that a machine has not loaded."""
    path = folder / "loaded"  # as lsmod(8) writes it; a file that could be run, make would run
    write_atomically(path, "".join(f"{name} 0 0\n" for name in ("Module", *loaded)).encode())
    return [f"LSMOD={path}", "localmodconfig"]


def goals(folder: Path) -> list[str]:
    """Return what make is told to lay the modules out below a build folder; depmod is for the machine."""
    shutil.rmtree(folder / _INSTALLED, ignore_errors=True)
    return [f"INSTALL_MOD_PATH={folder / _INSTALLED}", "DEPMOD=true", "modules_install"]


def keep(folder: Path, place: Path) -> None:
    """Move what was laid out into a stored kernel's folder."""
    laid_out = list((folder / _INSTALLED / "lib/modules").glob("*/"))
    if len(laid_out) != 1:
        names = ", ".join(sorted(path.name for path in laid_out)) or "none"
        raise InfraError(
            "make modules_install has not laid out the modules of one kernel",
            evidence=f"releases: {names}",
            next_step="see the end of its build.log; built by hand, it is image:FILE,modules=DIR",
        )
    for link in ("build", "source"):  # they lead into the build folder
        (laid_out[0] / link).unlink(missing_ok=True)
    (laid_out[0] / "kernel").mkdir(exist_ok=True)  # none was loaded, and so none was built
    shutil.move(laid_out[0], place / FOLDER)
    shutil.rmtree(folder / _INSTALLED)


def lacking(folder: Path, wanted: Iterable[str]) -> tuple[str, ...]:
    """Return those of some modules that a kernel neither has nor has built in, by its own lists."""
    lists = (folder / name for name in ("modules.order", "modules.builtin"))
    lines = (line for path in lists if path.is_file() for line in path.read_text().splitlines())
    there = {Path(line).name.partition(".")[0].replace("-", "_") for line in lines}
    return tuple(sorted(name for name in wanted if name.replace("-", "_") not in there))
