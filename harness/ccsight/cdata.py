"""C's own declarations, read from the headers that the compiler reads; libraries, too. The door to cffi."""

import os
import re
from collections.abc import Sequence
from functools import cache
from mmap import mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cffi import FFI

_NOT_FOR_CFFI = re.compile(r"^\s*#(?!\s*define\s+\w+\s+(0x)?[0-9a-fA-F]+\s*(/\*.*)?$).*$", re.MULTILINE)


@cache
def declarations(header: Path) -> "FFI":
    """Return what a header declares: structs, enums, and the #defines that are plain numbers.

    Cffi reads it with a whole parser of C, which is imported where there is something to read.
    """
    from cffi import FFI

    ffi = FFI()
    ffi.cdef(_NOT_FOR_CFFI.sub("", header.read_text()))
    return ffi


def constant(ffi: "FFI", name: str) -> int:
    """Return an enumerator or a #defined number."""
    return int(getattr(ffi.dlopen(None), name))


def size_of(ffi: "FFI", kind: str) -> int:
    """Return the bytes of a type, such as ``struct table``."""
    return int(ffi.sizeof(kind))


def main_of(library: Path, header: Path, name: str, argv: Sequence[str], descriptor: int) -> int:
    """Load a shared object and return what its ``int NAME(int argc, char **argv, int descriptor)`` returns.

    ``header`` declares the function. Raises OSError when the object cannot be loaded here.
    """
    ffi = declarations(header)
    words = [ffi.new("char[]", os.fsencode(word)) for word in argv]  # they live as long as this list
    vector = ffi.new("char *[]", [*words, ffi.NULL])
    return int(getattr(ffi.dlopen(str(library)), name)(len(words), vector, descriptor))


def laid_over(ffi: "FFI", kind: str, memory: mmap) -> Any:  # noqa: ANN401 - C's types are not Python's
    """Return a pointer to a type that reads and writes a mapping in place; it keeps the mapping alive."""
    return ffi.from_buffer(f"{kind} *", memory)
