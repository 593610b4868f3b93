"""C's own declarations, read from the headers that the compiler reads. The door to cffi."""

import re
from functools import cache
from mmap import mmap
from pathlib import Path
from typing import Any

from cffi import FFI

_NOT_FOR_CFFI = re.compile(r"^\s*#(?!\s*define\s+\w+\s+(0x)?[0-9a-fA-F]+\s*(/\*.*)?$).*$", re.MULTILINE)


@cache
def declarations(header: Path) -> FFI:
    """Return what a header declares: structs, enums, and the #defines that are plain numbers."""
    ffi = FFI()
    ffi.cdef(_NOT_FOR_CFFI.sub("", header.read_text()))
    return ffi


def constant(ffi: FFI, name: str) -> int:
    """Return an enumerator or a #defined number."""
    return int(getattr(ffi.dlopen(None), name))


def size_of(ffi: FFI, kind: str) -> int:
    """Return the bytes of a type, such as ``struct table``."""
    return int(ffi.sizeof(kind))


def laid_over(ffi: FFI, kind: str, memory: mmap) -> Any:  # noqa: ANN401 - C's types are not Python's
    """Return a pointer to a type that reads and writes a mapping in place; it keeps the mapping alive."""
    return ffi.from_buffer(f"{kind} *", memory)
