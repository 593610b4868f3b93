"""``deb:SERIES``: a distribution's kernel, newest of its series, from its packages.

Where the Image lies is found by looking: in ``linux-image-*`` itself, or in the ``linux-binary-*``
(with ``linux-modules-*``) that it depends on. Of a series, the newest version is used of which the archive
has not only the entry in its lists but the files, too; what was passed over is said each time.
"""

import itertools
import shutil
import time
from pathlib import Path

from ccsight import specs
from ccsight.deadline import Deadline
from ccsight.errors import ArchiveError, UsageError
from ccsight.evidence.model import Package
from ccsight.kernels import image, index, stored
from ccsight.kernels.index import LISTING, Index, Row
from ccsight.kernels.model import Kernel
from ccsight.paths import cache_dir
from ccsight.specs import Spec
from ccsight.store import entry
from ccsight.toolbox import packages, tools
from ccsight.toolbox.listing import FRESH

_IMAGES = ("boot/vmlinu[zx]-*", "boot/Image*", "usr/lib/modules/*/vmlinuz", "lib/modules/*/vmlinuz")
_MODULES = ("lib/modules/*/kernel", "usr/lib/modules/*/kernel")


def resolve(spec: Spec, deadline: Deadline, report: tools.Report) -> Kernel:
    """Return the kernel, downloading and unpacking it once.

    Raises UsageError for a series, flavour or version that the archive does not have, ArchiveError,
    NoSpace or DeadlineExceeded.
    """
    known = LISTING.load(deadline, report)
    try:
        candidates(known, spec)
    except UsageError as unknown:
        if kept := _kept(spec):
            return stored.kernel(spec, kept)
        known = _newer(known, unknown, deadline, report)
    try:
        return _newest(known, spec, deadline, report)
    except packages.PackageGone:  # the archive may have moved on since its lists were read
        known = LISTING.refresh(known.made, deadline, report)
        return _newest(known, spec, deadline, report)


def _newest(known: Index, spec: Spec, deadline: Deadline, report: tools.Report) -> Kernel:
    """Return the first candidate that can be had. Raises PackageGone when that is none."""
    rows = candidates(known, spec)
    passed = list(itertools.takewhile(lambda row: _gone(known, row, deadline, report), rows[:-1]))
    row = rows[len(passed)]
    kernel = stored.kernel(spec, _unpacked(known, row, deadline, report))
    if passed:
        newest = f"{passed[0].version}{' and others' if len(passed) > 1 else ''}"
        report(f"using {row.version}: the archive lists {newest}, but does not have the files")
    return kernel


def _gone(known: Index, row: Row, deadline: Deadline, report: tools.Report) -> bool:
    """Try to fetch a kernel, and tell whether the archive lists it without having it.

    Raises PackageGone when it has gone and the lists are old enough to be read again.
    """
    if row.sha256 in known.gone and not _place(row).is_dir():
        return True
    try:
        _unpacked(known, row, deadline, report)
    except packages.PackageGone:
        if known.made < time.time() - FRESH:
            raise
        LISTING.forget(row, deadline)
        return True
    return False


def pin(kernel: Kernel) -> str:
    """Return the spec with the version that it meant."""
    series, _, _ = kernel.spec.value.partition("=")
    return specs.render("deb", f"{series}={kernel.packages[0].version}", kernel.spec.options)


def key(row: Row) -> str:
    """Return the name of a kernel in the cache."""
    return f"{row.package}_{_escaped(row.version)}_{row.sha256[:12]}"


def _place(row: Row) -> Path:
    return cache_dir() / "kernels" / key(row)


def _escaped(version: str) -> str:
    return version.replace(":", "%3a")


def candidates(known: Index, spec: Spec) -> list[Row]:
    """Return the image packages that a spec can mean, newest first: only one where it names a version.

    Raises UsageError saying what there is instead.
    """
    series, _, version = spec.value.partition("=")
    flavour = spec.option("flavour") or ""
    rows = known.images(series, flavour)
    if found := [row for row in reversed(rows) if version in ("", row.version)]:
        return found
    if rows:
        evidence = f"versions of {series}: {', '.join(row.version for row in rows)}"
    elif series in known.series():
        names = ", ".join(name or "(none)" for name in known.flavours(series))
        evidence = f"flavours of {series}: {names}"
    elif broken := [row for row in known.rows if row.series == series]:
        lost = ", ".join(known.missing(broken[-1]))
        whole = ", ".join(known.series())
        evidence = f"{broken[-1].package} is there, but not its {lost}; series that are whole: {whole}"
    else:
        evidence = f"series: {', '.join(known.series())}"
    raise UsageError(f"the archive has no kernel {spec.text}", evidence=evidence, next_step="ccsight kernels")


def _kept(spec: Spec) -> Path | None:
    """Return a pinned kernel that is in the cache, though the archive has moved on."""
    series, _, version = spec.value.partition("=")
    for place in sorted((cache_dir() / "kernels").glob("linux-image-*")):
        name, _, rest = place.name.partition("_")
        wanted = index.named(name, version) == (series, spec.option("flavour") or "")
        if version and wanted and rest.startswith(f"{_escaped(version)}_") and place.is_dir():
            return place
    return None


def _newer(known: Index, unknown: UsageError, deadline: Deadline, report: tools.Report) -> Index:
    """Read the lists again for something that they lack, unless they are fresh or out of reach."""
    if known.made > time.time() - FRESH:
        raise unknown
    try:
        return LISTING.refresh(known.made, deadline, report)
    except ArchiveError as error:
        evidence = f"{unknown.evidence} (of the cached lists; for newer ones: {error.fact})"
        raise UsageError(unknown.fact, evidence=evidence, next_step=unknown.next_step) from error


def _unpacked(known: Index, row: Row, deadline: Deadline, report: tools.Report) -> Path:
    return entry("kernels", key(row), lambda folder: _fill(folder, known, row, (deadline, report)), deadline)


def _fill(folder: Path, known: Index, row: Row, how: tuple[Deadline, tools.Report]) -> None:
    deadline, report = how
    raw = folder / "raw"
    raw.mkdir()
    used, debs = [row], packages.fetch([row.remote()], Path(known.config), deadline, report)
    packages.unpack(debs[0], raw, deadline)
    if not _first(raw, _IMAGES) or not _first(raw, _MODULES):
        more = known.parts(row)
        fetched = packages.fetch([part.remote() for part in more], Path(known.config), deadline, report)
        for deb in fetched:
            packages.unpack(deb, raw, deadline)
        used, debs = used + more, debs + fetched
    _arrange(folder, raw, row)
    pinned = tuple(Package(name=part.package, version=part.version, sha256=part.sha256) for part in used)
    stored.write(folder, folder / "Image", "modules" if (folder / "modules").exists() else "", pinned)
    packages.drop(debs)


def _arrange(folder: Path, raw: Path, row: Row) -> None:
    """Keep the Image and the modules of what was unpacked."""
    found, modules = _first(raw, _IMAGES), _first(raw, _MODULES)
    if not found:
        raise ArchiveError(f"{row.package} {row.version} and its parts hold no Image", evidence=row.uri)
    if image.is_packed(found):
        (folder / "Image").write_bytes(image.unpacked(found))
    else:
        found.rename(folder / "Image")
    if modules:
        modules.parent.rename(folder / "modules")
    shutil.rmtree(raw)


def _first(folder: Path, patterns: tuple[str, ...]) -> Path | None:
    return next((path for pattern in patterns for path in sorted(folder.glob(pattern))), None)
