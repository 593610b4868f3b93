"""Which of a kernel's modules a machine needs, and in which order they load.

The modules say so themselves (``depends=`` in .modinfo), so no depmod has to run: distributions ship
packages without modules.dep.
"""

import gzip
import lzma
from collections.abc import Callable, Iterable
from pathlib import Path

from ccsight.errors import BootError
from ccsight.toolbox import elf


def load_order(folder: Path, wanted: Iterable[str]) -> list[tuple[str, bytes]]:
    """Return the wanted modules and all they depend on, as (name, ELF object), in load order.

    A name without a file is built into the kernel and left out. Raises BootError for a file that is
    not a module, or is packed in a way that this system cannot unpack.
    """
    files = {_name(path): path for path in folder.rglob("*.ko*")}
    loaded: dict[str, bytes] = {}
    for name in wanted:
        _load(name, files, loaded, ())
    return list(loaded.items())


def _load(name: str, files: dict[str, Path], loaded: dict[str, bytes], above: tuple[str, ...]) -> None:
    """Add a module after its dependencies; ``above`` are the modules that asked for it."""
    if name in loaded or name not in files or name in above:
        return
    content = _unpacked(files[name])
    for needed in _depends(files[name], content):
        _load(needed, files, loaded, (*above, name))
    loaded[name] = content


def _name(path: Path) -> str:
    """Return a module's name as the kernel spells it: without suffixes, dashes as underscores."""
    return path.name.partition(".ko")[0].replace("-", "_")


def _depends(path: Path, content: bytes) -> list[str]:
    try:
        modinfo = elf.section(content, ".modinfo")
    except ValueError as error:
        raise BootError(f"{path} is not a kernel module", evidence=str(error)) from error
    for line in modinfo.split(b"\0"):
        key, _, value = line.partition(b"=")
        if key == b"depends":
            return [word.replace("-", "_") for word in value.decode().split(",") if word]
    return []


_UNPACK: dict[str, Callable[[bytes], bytes]] = {".ko": bytes, ".xz": lzma.decompress, ".gz": gzip.decompress}


def _unpacked(path: Path) -> bytes:
    unpack = _UNPACK.get(path.suffix)
    if unpack is None:
        raise BootError(
            f"{path.name} is packed in a way that ccsight does not read",
            evidence=f"{path}: {path.suffix}; known: {', '.join(_UNPACK)}",
            next_step="unpack the modules, or build with CONFIG_MODULE_COMPRESS_NONE=y",
        )
    try:
        return unpack(path.read_bytes())
    except (OSError, lzma.LZMAError, EOFError) as error:
        raise BootError(f"{path.name} cannot be read", evidence=f"{path}: {error}") from error
