"""An arm64 Image as bytes: what kernel it says it is. It knows no package and no spec.

The layouts are Documentation/arch/arm64/booting.rst ("Call the kernel image") and
drivers/firmware/efi/libstub/zboot-header.S of the kernel.
"""

import hashlib
import lzma
import mmap
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ccsight.errors import UsageError

_MAGIC = b"ARM\x64"
_MAGIC_AT = 56
_GZIP = b"\x1f\x8b"
_ZBOOT = re.compile(rb"MZ..zimg(.{4})(.{4}).{8}([a-z0-9]+)\0", re.DOTALL)
_BANNER = re.compile(rb"Linux version (\S+) [^\0\n]{1,400}")
#: init/version-timestamp.c has it with the build number; a template without one lies beside it.
_NUMBERED = re.compile(rb" #\d+ ")
_NOTE = re.compile(rb"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0(.{20})", re.DOTALL)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    def decompress(self, data: bytes, /) -> bytes: ...


_UNPACK: dict[str, Callable[[], _Decompressor]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE),
    "xzkern": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
}


@dataclass(frozen=True)
class Identity:
    """What an Image says of itself. ``build_ids`` are hex: the kernel's own and those of its vDSOs."""

    release: str
    banner: str
    build_ids: frozenset[str]
    sha256: str


def identify(path: Path) -> Identity:
    """Return who a plain Image is. Raises UsageError when it is not an arm64 Image or has no banner."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if path.stat().st_size <= _MAGIC_AT + 4:
            raise _not_an_image(path, "it is too short")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content[_MAGIC_AT : _MAGIC_AT + 4] != _MAGIC:
                raise _not_an_image(path, f"it lacks the magic number at offset {_MAGIC_AT}")
            banners = [(match[0], match[1]) for match in _BANNER.finditer(content)]
            notes = frozenset(match[1].hex() for match in _NOTE.finditer(content))
    if not banners:
        raise _not_an_image(path, "it holds no 'Linux version …'")
    banner, release = next((each for each in banners if _NUMBERED.search(each[0])), banners[0])
    return Identity(release.decode(errors="replace"), banner.decode(errors="replace"), notes, digest)


def is_packed(path: Path) -> bool:
    """Return whether a file is an Image that something has to unpack before QEMU or KVM can boot it."""
    with path.open("rb") as file:
        head = file.read(64)
    return head.startswith(_GZIP) or bool(_ZBOOT.match(head))


def unpacked(path: Path) -> bytes:
    """Return the plain Image in a gzip file or an EFI zboot image; UsageError when it cannot be."""
    packed = path.read_bytes()
    method = "gzip"
    if match := _ZBOOT.match(packed):
        start, size = (int.from_bytes(match[group], "little") for group in (1, 2))
        method, packed = match[3].decode(), packed[start : start + size]
    if method not in _UNPACK:
        raise _not_an_image(path, f"it is compressed with {method}; known are {', '.join(_UNPACK)}")
    stream = _UNPACK[method]()
    try:
        plain = stream.decompress(packed)  # what follows the stream's end is left alone
    except (zlib.error, lzma.LZMAError) as error:
        raise _not_an_image(path, f"its {method} stream is broken: {error}") from error
    if not stream.eof:
        raise _not_an_image(path, f"its {method} stream is broken: it ends early")
    return plain


def _not_an_image(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} is not an arm64 Image",
        evidence=why,
        next_step="give arch/arm64/boot/Image of a build, Image.gz, or a distribution's vmlinuz",
    )
