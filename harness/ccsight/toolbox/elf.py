"""What an ELF file needs to run: its loader and its libraries. The only door to pyelftools."""

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.constants import SH_FLAGS
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import NoteSection
from elftools.elf.segments import InterpSegment

from ccsight.errors import ArchiveError

_BUILD_ID_NOTE = re.compile(rb"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0.{20}", re.DOTALL)


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


def build_id(path: Path) -> str:
    """Return the GNU build-id of a program or kernel in hex. Raises ValueError when it has none."""
    with path.open("rb") as file:
        for part in ELFFile(file).iter_sections():
            if isinstance(part, NoteSection):
                for note in part.iter_notes():
                    if note["n_type"] == "NT_GNU_BUILD_ID":
                        return str(note["n_desc"])
    raise ValueError(f"{path} has no GNU build-id")


def code_sha256(path: Path, salt: str) -> str:
    """Return a hash over all that a program loads but what only tells its identity: notes, build-ids, a salt.

    Two kernels with the same one run the same code, whatever their build-ids say. A kernel carries its
    vDSOs as data, each with a build-id and the salt of its own, so these are passed over wherever they are.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for part in ELFFile(file).iter_sections():
            loaded = part["sh_flags"] & SH_FLAGS.SHF_ALLOC and part["sh_type"] != "SHT_NOBITS"
            if loaded and not isinstance(part, NoteSection) and not part.name.startswith(".notes"):
                digest.update(f"{part.name} {part['sh_addr']:#x} {part['sh_size']}\n".encode())
                digest.update(_BUILD_ID_NOTE.sub(b"", part.data()).replace(salt.encode(), b""))
    return digest.hexdigest()


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
