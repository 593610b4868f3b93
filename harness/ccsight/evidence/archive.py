"""A ZIP archive as a bundle is one: written in one way only, and read strictly, as others may have sent it.

Members lie one behind the other from the first byte on, without dates, links or modes, none encrypted. The
archive's comment is the hash of all bytes before it, so that no bit can change unnoticed, wherever it is.
"""

import hashlib
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

from ccsight.errors import EvidenceError, UsageError

#: What is read, and written: so many members, bytes of one and of all, and times smaller than unpacked.
MEMBERS_MAX = 20_000
MEMBER_MAX = 64 << 20
TOTAL_MAX = 1 << 30
RATIO_MAX = 200

_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
_UNIX = 3
_DIGITS = 64  #: of a SHA-256
_END = 22  #: bytes of the record behind the list of members, without the comment
_LOCAL = 30  #: bytes of what stands before each member, without its name
_CHUNK = 1 << 16
_ASK = "have it sent again from where it was made, or name a run's folder"


def altered(path: Path, what: str) -> NoReturn:
    """Refuse a bundle. Raises EvidenceError."""
    raise EvidenceError(f"{path} is not a whole bundle", evidence=what, next_step=_ASK)


def write(file: BinaryIO, members: Iterable[tuple[str, bytes]]) -> None:
    """Write an archive. Raises UsageError for more than :func:`members_of` would read."""
    total = 0
    with zipfile.ZipFile(file, "w") as archive:
        archive.comment = bytes(_DIGITS)
        for number, (name, content) in enumerate(members):
            total += len(content)
            if len(content) > MEMBER_MAX or total > TOTAL_MAX or number >= MEMBERS_MAX:
                raise UsageError(
                    f"the run is too large for a bundle: {name}",
                    evidence=f"{MEMBERS_MAX} files of {MEMBER_MAX >> 20} MiB, {TOTAL_MAX >> 20} MiB in all",
                    next_step="pack its folder with tar, or a run of fewer machines",
                )
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system, info.external_attr = _UNIX, _MODE
            archive.writestr(info, content, _method(content))
    digest = _digest(file).hex().encode()
    file.seek(-_DIGITS, 2)
    file.write(digest)


def _method(content: bytes) -> int:
    """Pack what does not look like a bomb then."""
    bomb = len(content) > RATIO_MAX * len(zlib.compress(content))
    return zipfile.ZIP_STORED if bomb else zipfile.ZIP_DEFLATED


def _digest(file: BinaryIO) -> bytes:
    """Return the hash of all but the comment."""
    left = file.seek(0, 2) - _DIGITS
    digest = hashlib.sha256()
    file.seek(0)
    while left > 0 and (chunk := file.read(min(left, _CHUNK))):
        digest.update(chunk)
        left -= len(chunk)
    return digest.digest()


def members_of(file: BinaryIO, path: Path) -> list[zipfile.ZipInfo]:
    """Return the members of an archive as it lists them, all of a form that this module writes.

    Raises EvidenceError naming the first that is not, before anything is unpacked.
    """
    start = _start_of_list(file, path)
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, EOFError) as error:
        altered(path, f"its list of members cannot be read: {error}")
    offset = 0
    for info in infos:
        _prove_plain(file, path, info, offset)
        offset += _LOCAL + len(info.orig_filename) + info.compress_size
    if offset != start:
        altered(path, f"its members end at byte {offset}, its list of them begins at {start}")
    folded = Counter(info.orig_filename.casefold() for info in infos)
    for info in infos:
        if folded[info.orig_filename.casefold()] > 1:
            altered(path, f"{_said(info)}: two members have this name, or differ in its case only")
    if sum(info.file_size for info in infos) > TOTAL_MAX:
        altered(path, f"it says that it has more than {TOTAL_MAX >> 20} MiB")
    return infos


def _start_of_list(file: BinaryIO, path: Path) -> int:
    """Return where the list of members begins, of an end that is in its place and of sane numbers."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _END - _DIGITS - 20))
    tail = file.read()
    end = tail[-_END - _DIGITS :]
    if len(end) < _END + _DIGITS or end[:4] != b"PK\5\6" or end[20:22] != _DIGITS.to_bytes(2, "little"):
        altered(path, "it does not end as a bundle does: it was cut off, or never was one")
    count, length, start = (int.from_bytes(end[a:b], "little") for a, b in ((10, 12), (12, 16), (16, 20)))
    if count > MEMBERS_MAX:
        altered(path, f"it lists {count} members; {MEMBERS_MAX} at most are read")
    if start + length + _END + _DIGITS != size or tail[:4] == b"PK\6\7":
        altered(path, "its list of members is not where its end says")
    return start


def _prove_plain(file: BinaryIO, path: Path, info: zipfile.ZipInfo, offset: int) -> None:
    """Refuse a member with anything that this module does not write."""
    name = _said(info)
    form = (info.flag_bits, info.external_attr, info.create_system, info.date_time, info.extra, info.comment)
    if form != (0, _MODE, _UNIX, _EPOCH, b"", b"") or info.filename != info.orig_filename:
        altered(path, f"{name} is not a plain file: a link, a device, encrypted, or another program's")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        altered(path, f"{name} is packed in a way that bundles are not")
    if max(info.file_size, info.compress_size // 2) > MEMBER_MAX:
        altered(path, f"{name} says that it has {info.file_size} bytes; {MEMBER_MAX} at most are read")
    if info.file_size > RATIO_MAX * max(info.compress_size, 1):
        altered(path, f"{name} says that it unpacks to more than {RATIO_MAX} times its size")
    head = info.FileHeader(zip64=False)
    file.seek(offset)
    if info.header_offset != offset or file.read(len(head)) != head:
        altered(path, f"{name} begins otherwise than the list of members says")


def _said(info: zipfile.ZipInfo) -> str:
    return repr(info.orig_filename)[1:-1][:200] or "a member without a name"


def content(
    file: BinaryIO, path: Path, info: zipfile.ZipInfo, take: Callable[[bytes], object]
) -> tuple[int, str]:
    """Give the bytes of a member to ``take``, piece by piece, and return their number and SHA-256.

    Raises EvidenceError where there are more or fewer than the archive says; never more are given.
    """
    size, crc, digest = 0, 0, hashlib.sha256()
    for piece in _pieces(file, path, info):
        size += len(piece)
        if size > info.file_size:
            altered(path, f"{_said(info)} unpacks to more than the {info.file_size} bytes that it says")
        crc = zlib.crc32(piece, crc)
        digest.update(piece)
        take(piece)
    if size != info.file_size:
        altered(path, f"{_said(info)} unpacks to {size} bytes, not to the {info.file_size} that it says")
    if crc != info.CRC:
        altered(path, f"{_said(info)} is not what its checksum says")
    return size, digest.hexdigest()


def _pieces(file: BinaryIO, path: Path, info: zipfile.ZipInfo) -> Iterator[bytes]:
    left = info.compress_size
    packed = info.compress_type == zipfile.ZIP_DEFLATED
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    file.seek(info.header_offset + _LOCAL + len(info.orig_filename))
    while left and (chunk := file.read(min(left, _CHUNK))):
        left -= len(chunk)
        try:
            while packed and chunk and not engine.eof:
                yield engine.decompress(chunk, _CHUNK)
                chunk = engine.unconsumed_tail
        except zlib.error as error:
            altered(path, f"{_said(info)} cannot be unpacked: {error}")
        if not packed:
            yield chunk
        elif engine.eof and (left or engine.unused_data):
            altered(path, f"{_said(info)} has bytes behind its end")
    while packed and not engine.eof and (piece := engine.decompress(b"", _CHUNK)):
        yield piece  # what was held back of the last chunk
    if left or (packed and not engine.eof):
        altered(path, f"{_said(info)} ends early")


def prove_whole(file: BinaryIO, path: Path) -> None:
    """Refuse an archive that says another hash of itself than it has; for those whose members are whole."""
    digest = _digest(file).hex().encode()
    file.seek(-_DIGITS, 2)
    if file.read() != digest:
        altered(path, "a byte was altered, though in none of its members")
