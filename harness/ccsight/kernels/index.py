"""Which arm64 kernels the archive has, and the packages that each consists of."""

import functools
import re
from collections.abc import Iterator

import msgspec

from ccsight.deadline import Deadline
from ccsight.toolbox import apt, stanzas
from ccsight.toolbox.listing import Listed, Listing
from ccsight.toolbox.packages import Remote

_NAMES = r"linux-(?:image|binary|modules)-\d\S*"
#: Debug symbols, and images before Debian's signature, which the signed ones replace.
_UNWANTED = re.compile(r"-dbg$|-unsigned$|^linux-binary-unsigned-")
_IMAGE = re.compile(r"linux-image-\d\S*?(?:-(?P<before>[a-z]+))?-arm64(?:-(?P<after>[a-z0-9]+))?")
_SERIES = re.compile(r"(\d+\.\d+)")


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A package of a kernel. ``flavour`` and ``series`` are "" unless it is a ``linux-image-*``."""

    package: str
    version: str
    series: str
    flavour: str
    suite: str
    uri: str
    size: int
    sha256: str
    depends: tuple[tuple[str, str], ...]

    def parts(self) -> list[tuple[str, str]]:
        """Return (name, version) of the packages that hold what a newer layout has taken out of this one."""
        return [each for each in self.depends if each[0].startswith(("linux-binary-", "linux-modules-"))]

    def remote(self) -> Remote:
        """Return it as something to download."""
        return Remote(self.package, self.version, self.uri, self.size, self.sha256)


class Index(Listed[Row], frozen=True, kw_only=True):
    """All packages of kernels that the archive lists, and which of them make a whole kernel."""

    def images(self, series: str, flavour: str) -> list[Row]:
        """Return the kernels of a series and flavour that are there with all their parts, oldest first."""
        rows = (row for row in self.rows if row.series == series and row.flavour == flavour)
        return [row for row in rows if not self.missing(row)]

    def series(self) -> list[str]:
        """Return every series that has a whole kernel, oldest first."""
        found = {row.series for row in self.rows if row.series and not self.missing(row)}
        return sorted(found, key=lambda series: [int(part) for part in series.split(".")])

    def flavours(self, series: str) -> list[str]:
        """Return the flavours of a series."""
        return sorted({row.flavour for row in self.rows if row.series == series and not self.missing(row)})

    def parts(self, row: Row) -> list[Row]:
        """Return the packages of the same build that an image package depends on."""
        return [part for key in row.parts() if (part := self._by_name.get(key))]

    def missing(self, row: Row) -> list[str]:
        """Return the names of the parts that the archive has dropped, which backports' often has."""
        return [key[0] for key in row.parts() if key not in self._by_name]

    @functools.cached_property
    def _by_name(self) -> dict[tuple[str, str], Row]:
        return {(row.package, row.version): row for row in self.rows}


def named(package: str, version: str) -> tuple[str, str]:
    """Return the series and the flavour of an image package; two empty strings for any other."""
    image, series = _IMAGE.fullmatch(package), _SERIES.match(version)
    return (series[1], "-".join(filter(None, image.groups()))) if image and series else ("", "")


def _rows(view: apt.View, deadline: Deadline) -> Iterator[Row]:
    for suite, path in apt.lists(view, deadline):
        for stanza in stanzas.scan(path, _NAMES, deadline):
            if not _UNWANTED.search(stanza.package):
                series, flavour = named(stanza.package, stanza.version)
                yield Row(
                    package=stanza.package,
                    version=stanza.version,
                    series=series,
                    flavour=flavour,
                    suite=suite.name,
                    uri=f"{suite.uri}/{stanza.filename}",
                    size=stanza.size,
                    sha256=stanza.sha256,
                    depends=stanza.depends,
                )


LISTING = Listing("index.json", Index, "arm64", _rows)
