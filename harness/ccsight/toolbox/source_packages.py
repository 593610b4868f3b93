"""Which source packages of a kernel the archive has, and the unpacking of one."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from ccsight.deadline import Deadline
from ccsight.errors import ArchiveError
from ccsight.toolbox import apt, packages, stanzas, tools
from ccsight.toolbox.listing import Listed, Listing
from ccsight.toolbox.packages import Remote


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

    @property
    def sha256(self) -> str:
        """The hash of the description, and so of everything."""
        return self.description.sha256


class Index(Listed[SourcePackage], frozen=True, kw_only=True):
    """All source packages of the kernel that the archive lists."""


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


LISTING = Listing("sources.json", Index, apt.SOURCE, _rows)


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
