"""What an ELF file needs to run: its loader and its libraries. The only door to pyelftools."""

import io
from collections.abc import Mapping
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

from ccsight.errors import ArchiveError


def is_elf(path: Path) -> bool:
    """Return whether a path is a file in ELF format."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def needs(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return a program's loader (PT_INTERP, "" if it has none) and the libraries it names (DT_NEEDED)."""
    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            loader = next(
                (part.get_interp_name() for part in elf.iter_segments() if isinstance(part, InterpSegment)),
                "",
            )
            sections = (part for part in elf.iter_sections() if isinstance(part, DynamicSection))
            tags = (tag for part in sections for tag in part.iter_tags("DT_NEEDED"))
            # pyelftools gives each kind of tag its own attribute, which no type knows.
            return loader, tuple(tag.needed for tag in tags)  # type: ignore[attr-defined]
    except ELFError as error:
        raise ArchiveError(f"{path.name} is not a program", evidence=f"{path}: {error}") from error


def section(content: bytes, name: str) -> bytes:
    """Return a section of an object, b"" when it has none. Raises ValueError for what is no ELF object."""
    try:
        found = ELFFile(io.BytesIO(content)).get_section_by_name(name)
    except ELFError as error:
        raise ValueError(f"not an ELF object: {error}") from error
    return bytes(found.data()) if found else b""


def libraries(folder: Path) -> dict[str, Path]:
    """Return every shared library below a folder by the name that programs ask for it with."""
    return {path.name: path for path in sorted(folder.rglob("*.so*")) if path.is_file()}


def closure(programs: list[Path], known: Mapping[str, Path]) -> dict[str, Path]:
    """Return all that some programs load: the libraries, those that these name, and the loader.

    Raises ArchiveError when one is not among the known.
    """
    found: dict[str, Path] = {}
    todo = list(programs)
    while todo:
        program = todo.pop()
        loader, names = needs(program)
        for name in (*names, *([Path(loader).name] if loader else [])):
            if name in found:
                continue
            if name not in known:
                raise ArchiveError(
                    f"{program.name} needs {name}, which no package brought", evidence=str(program)
                )
            found[name] = known[name]
            todo.append(known[name])
    return found
