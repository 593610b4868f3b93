"""A run in one file that travels: packed whole, and refused where one bit of it is another one.

    manifest.json        which files follow, with their hashes, and the root hash over all of that
    manifest.sig         the root hash signed, where somebody did: OpenSSH's form, namespace ``ccsight``
    run.json …           the files of the run, under their names in its folder
    kernels/SHA256.config  the kernels' configurations by their Images' hashes, where the store had them
    policy.toml          the policy, where one was given

Reports are not in it: they are made of the evidence anew. Nothing is taken from a bundle before its form is
proved (see ``archive``), and nothing of it is used before all of it is.
"""

import atexit
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO
from zipfile import ZipInfo

import msgspec

from ccsight import __version__
from ccsight.errors import EvidenceError, UsageError, reason
from ccsight.evidence import archive
from ccsight.evidence.archive import altered
from ccsight.evidence.manifest import (
    BUNDLE_SCHEMA,
    MANIFEST,
    PLAN,
    SIGNATURE,
    Manifest,
    Member,
    belongs,
    manifest_of,
    odd,
)
from ccsight.evidence.record import from_json, to_json
from ccsight.scratch import Scratch
from ccsight.store import explain


@dataclass(frozen=True)
class Bundle:
    """What a bundle says of itself; ``signature`` is "" where nobody signed it."""

    manifest: Manifest
    signature: bytes = b""


def files_of(folder: Path) -> dict[str, Path]:
    """Return the files of a run's folder that are evidence, by name. Raises EvidenceError for a link."""
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    for name, path in found.items():
        if path.is_symlink():
            raise EvidenceError(
                f"{path} is a link, which no run has",
                evidence=f"{name} points to {path.readlink()}",
                next_step="put the file itself there, or remove it",
            )
    return {name: path for name, path in found.items() if belongs(name) and path.is_file()}


def manifest(run: str, contents: Mapping[str, bytes | Path]) -> Manifest:
    """Return what a bundle of a run says of itself: of its files, and of ``contents`` that are none."""
    return manifest_of(run, __version__, (_member(name, content) for name, content in contents.items()))


def _member(name: str, content: bytes | Path) -> Member:
    data = _bytes(content)
    return Member(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())


def _bytes(content: bytes | Path) -> bytes:
    if isinstance(content, bytes):
        return content
    try:
        return content.read_bytes()
    except OSError as error:
        raise EvidenceError(f"{content} cannot be read", evidence=reason(error)) from error


def pack(path: Path, bundle: Bundle, contents: Mapping[str, bytes | Path]) -> None:
    """Write a bundle, whole or not at all; the same run gives the same bytes.

    Raises UsageError where the file is there or cannot be, EvidenceError where evidence changes meanwhile.
    """
    if path.exists():
        raise UsageError(f"{path} is there already", next_step="name another file, or remove it")

    def members() -> Iterator[tuple[str, bytes]]:
        yield MANIFEST, to_json(bundle.manifest)
        if bundle.signature:
            yield SIGNATURE, bundle.signature
        for member in bundle.manifest.members:
            data = _bytes(contents[member.name])
            if hashlib.sha256(data).hexdigest() != member.sha256:
                raise EvidenceError(
                    f"{member.name} changed while it was packed", next_step="wait for the end of the run"
                )
            yield member.name, data

    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        with draft.open("w+b") as file:
            archive.write(file, members())
        draft.replace(path)
    except OSError as error:
        error.filename = str(path)
        raise explain(error, path.parent) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def verified(path: Path, into: Path | None = None) -> Bundle:
    """Return what a bundle says of itself, all of it proved but the signature; unpack it ``into`` a folder.

    Raises EvidenceError naming what was altered; then the folder holds nothing to rely on.
    """
    try:
        with path.open("rb") as file:
            return _verified(file, path, into)
    except OSError as error:
        raise EvidenceError(f"{path} cannot be read as a bundle", evidence=reason(error)) from error


def _verified(file: BinaryIO, path: Path, into: Path | None) -> Bundle:
    infos = {info.orig_filename: info for info in archive.members_of(file, path)}
    for name in infos:
        if name not in (MANIFEST, SIGNATURE) and not belongs(name):
            altered(path, f"{name!r} is not the name of a file that runs have")
    signature = _read(file, path, infos[SIGNATURE]) if SIGNATURE in infos else b""
    manifest = _manifest(file, path, infos)
    names = [MANIFEST, *([SIGNATURE] if signature else []), *(member.name for member in manifest.members)]
    for name in sorted(infos.keys() ^ set(names)):
        altered(path, f"{name} is in one of the archive and its manifest only")
    for member in manifest.members:
        take, close = _taker(into / manifest.run / member.name if into else None)
        try:
            found = archive.content(file, path, infos[member.name], take)
        finally:
            close()
        if found != (member.size, member.sha256):
            altered(path, f"{member.name} is another file than the manifest says: SHA-256 {found[1][:16]}…")
    _prove_named(file, path, infos, manifest.run)
    archive.prove_whole(file, path)
    return Bundle(manifest, signature)


def _taker(path: Path | None) -> tuple[Callable[[bytes], object], Callable[[], None]]:
    """Return what takes the bytes of a file, and what ends it; without a path they go nowhere."""
    if path is None:
        return len, lambda: None
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("xb")
    return file.write, file.close


def _read(file: BinaryIO, path: Path, info: ZipInfo) -> bytes:
    pieces: list[bytes] = []
    archive.content(file, path, info, pieces.append)
    return b"".join(pieces)


class _Schema(msgspec.Struct):
    schema: int


def _manifest(file: BinaryIO, path: Path, infos: Mapping[str, ZipInfo]) -> Manifest:
    if next(iter(infos), "") != MANIFEST:
        altered(path, f"it does not begin with {MANIFEST}")
    content = _read(file, path, infos[MANIFEST])
    try:
        schema = from_json(content, _Schema).schema
        if schema != BUNDLE_SCHEMA:
            altered(path, f"{MANIFEST} has schema {schema}; this ccsight reads {BUNDLE_SCHEMA}")
        found = from_json(content, Manifest)
    except (msgspec.MsgspecError, ValueError) as error:
        altered(path, f"{MANIFEST} cannot be read: {error}")
    if contradiction := odd(found) or ("" if to_json(found) == content else "it is written in another form"):
        altered(path, f"{MANIFEST}: {contradiction}")
    return found


class _Named(msgspec.Struct):
    id: str


def _prove_named(file: BinaryIO, path: Path, infos: Mapping[str, ZipInfo], run: str) -> None:
    """Refuse a bundle that has no plan, or that of another run than its manifest is of."""
    if PLAN not in infos:
        altered(path, f"it has no {PLAN}")
    try:
        named = from_json(_read(file, path, infos[PLAN]), _Named).id
    except (msgspec.MsgspecError, ValueError) as error:
        altered(path, f"{PLAN} cannot be read: {error}")
    if named != run:
        altered(path, f"{PLAN} is of the run {named!r}, the manifest of {run!r}")


#: Where bundles are unpacked at present: a run's folder -> the bundle.
_ORIGINS: dict[Path, Path] = {}


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """Yield the folder of a bundle's run, in a place that is gone afterwards. Raises EvidenceError."""
    with Scratch() as name:
        place = Path(name).resolve()
        folder = place / verified(path, place).manifest.run
        _ORIGINS[folder] = path
        try:
            yield folder
        finally:
            del _ORIGINS[folder]


_OPEN = ExitStack()
atexit.register(_OPEN.close)


@cache
def _kept(path: Path, _changed: int) -> Path:
    return _OPEN.enter_context(opened(path))


def origin(folder: Path) -> Path | None:
    """Return the bundle that was unpacked to a folder, None for a folder that somebody keeps."""
    return _ORIGINS.get(folder)


def shown(path: Path) -> Path:
    """Return how people name a file: in the bundle that it came from, else as it is."""
    folder = next((part for part in path.parents if part in _ORIGINS), None) if _ORIGINS else None
    return _ORIGINS[folder] / path.relative_to(folder) if folder else path


def unpacked(path: Path) -> Path:
    """Return the folder of a bundle's run; it stays until the process ends. Raises EvidenceError."""
    return _kept(path.resolve(), path.stat().st_mtime_ns)


def located(path: Path) -> Path:
    """Return where a path lies that may lead into a bundle: ``RUN.zip/captures/…``. Raises EvidenceError."""
    file = next((part for part in path.parents if part.is_file()), None)
    return unpacked(file) / path.relative_to(file) if file else path
