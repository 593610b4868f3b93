"""What ``ccsight kernels`` lists: the series that can be had, and which of them are in the cache already."""

from dataclasses import dataclass

from ccsight.kernels import deb
from ccsight.kernels.index import Index
from ccsight.paths import cache_dir


@dataclass(frozen=True)
class Available:
    """A series in one flavour ("" is the plain one). ``size`` is what a download takes, in bytes."""

    spec: str
    series: str
    flavour: str
    version: str
    versions: tuple[str, ...]
    suite: str
    size: int
    cached: bool


def available(known: Index) -> tuple[Available, ...]:
    """Return what the archive has, by series and flavour."""
    return tuple(
        _newest(known, series, flavour) for series in known.series() for flavour in known.flavours(series)
    )


def _newest(known: Index, series: str, flavour: str) -> Available:
    rows = known.images(series, flavour)
    row = next((row for row in reversed(rows) if row.sha256 not in known.gone), rows[-1])
    return Available(
        spec=f"deb:{series}" + (f",flavour={flavour}" if flavour else ""),
        series=series,
        flavour=flavour,
        version=row.version,
        versions=tuple(each.version for each in rows),
        suite=row.suite,
        size=row.size + sum(part.size for part in known.parts(row)),
        cached=(cache_dir() / "kernels" / deb.key(row)).is_dir(),
    )
