"""Which source packages of a kernel the archive has: a small file in the cache, and the unpacking of one."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ccsight.deadline import Deadline
from ccsight.errors import ArchiveError
from ccsight.paths import cache_dir
from ccsight.store import locked, write_atomically
from ccsight.toolbox import apt, packages, sources, stanzas, tools
from ccsight.toolbox.packages import Remote

#: Raised when the types below change: an index of another schema is made anew.
_SCHEMA = 1


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file of a source package."""

    name: str
    size: int
    sha256: str


class SourcePackage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A source package as a signed list describes it; ``uri`` is its folder in the archive."""

    package: str
    version: str
    suite: str
    uri: str
    files: tuple[File, ...]

    @property
    def description(self) -> File:
        """The ``.dsc``, which names the version and the content of the others."""
        return next(file for file in self.files if file.name.endswith(".dsc"))


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All source packages of the kernel, oldest first.

    ``origin`` is what the environment said of the archive then. ``gone`` are the hashes of those whose
    files the archive turned out not to have.
    """

    schema: int
    origin: str
    made: float
    config: str
    rows: tuple[SourcePackage, ...]
    gone: frozenset[str] = frozenset()


def _place() -> Path:
    return cache_dir() / "apt" / "sources.json"


def cached() -> Index | None:
    """Return the index that is in the cache, or None when there is none of this archive."""
    try:
        index = msgspec.json.decode(_place().read_bytes(), type=Index)
    except (OSError, msgspec.DecodeError):
        return None
    return index if (index.schema, index.origin) == (_SCHEMA, sources.origin()) else None


def load(deadline: Deadline, report: tools.Report) -> Index:
    """Return the index; the network is used only when the cache has none."""
    return cached() or refresh(0.0, deadline, report)


def refresh(since: float, deadline: Deadline, report: tools.Report) -> Index:
    """Read the archive's lists anew, unless another process did so after ``since`` (a time()).

    Raises ArchiveError when the archive cannot be reached or is not signed.
    """
    with locked(_place(), deadline):
        index = cached()
        if index and index.made > since:
            return index
        view = apt.update(apt.available(deadline, report), apt.SOURCE, deadline, report)
        found = {row.description.sha256: row for row in reversed([*_rows(view, deadline)])}
        rows = sorted(found.values(), key=lambda row: stanzas.by_version(row.version))
        index = Index(
            schema=_SCHEMA,
            origin=sources.origin(),
            made=time.time(),
            config=str(view.config),
            rows=tuple(rows),
        )
        write_atomically(_place(), msgspec.json.encode(index))
        return index


def forget(row: SourcePackage, deadline: Deadline) -> None:
    """Note that the archive lists a package whose files it does not have; the next refresh asks again."""
    with locked(_place(), deadline):
        if index := cached():
            gone = index.gone | {row.description.sha256}
            write_atomically(_place(), msgspec.json.encode(msgspec.structs.replace(index, gone=gone)))


def _rows(view: apt.View, deadline: Deadline) -> Iterator[SourcePackage]:
    for suite, path in apt.lists(view, deadline):
        for stanza in stanzas.scan_sources(path, "linux", deadline):
            files = tuple(File(name=name, size=size, sha256=sha) for name, size, sha in stanza.files)
            if not any(file.name.endswith(".dsc") for file in files):
                raise ArchiveError(f"{stanza.package} {stanza.version} has no .dsc", evidence=path.name)
            yield SourcePackage(
                package=stanza.package,
                version=stanza.version,
                suite=suite.name,
                uri=f"{suite.uri}/{stanza.directory}",
                files=files,
            )


def unpack(row: SourcePackage, config: Path, folder: Path, deadline: Deadline, report: tools.Report) -> Path:
    """Download a source package and unpack it below ``folder``, the distribution's patches applied.

    Returns the tree. Raises PackageGone when the archive does not have all of it, ArchiveError, NoSpace.
    """
    remotes = [
        Remote(file.name, row.version, f"{row.uri}/{file.name}", file.size, file.sha256)
        for file in sorted(row.files, key=lambda file: file.size)  # a small one tells soonest if all are gone
    ]
    fetched = [*packages.fetch(remotes[:1], config, deadline, report)]
    fetched += packages.fetch(remotes[1:], config, deadline, report)
    for remote, path in zip(remotes, fetched, strict=True):
        (folder / remote.package).symlink_to(path)
    report(f"unpacking {row.package} {row.version}")
    # --no-check: the signed list proves every file by its SHA-256; the maintainer's key may not be here.
    argv = ["dpkg-source", "--no-check", "--no-copy", "-x", row.description.name, "tree"]
    tools.run(argv, deadline, cwd=folder)
    packages.drop(fetched)
    return folder / "tree"
