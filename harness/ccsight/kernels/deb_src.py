"""``deb-src:SERIES[=VERSION]``: the kernel of a distribution's source package, kept as git objects.

Of a series, the newest version is used of which the archive has not only the entry in its lists but
the files, too; what was passed over is said and recorded.
"""

import os
import re
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ccsight.deadline import Deadline
from ccsight.errors import ArchiveError, ToolMissing, UsageError
from ccsight.kernels import objects
from ccsight.kernels.objects import Folder, Source
from ccsight.paths import cache_dir
from ccsight.specs import Spec
from ccsight.store import explain, locked, write_atomically
from ccsight.toolbox import source_packages, tools
from ccsight.toolbox.listing import FRESH
from ccsight.toolbox.packages import PackageGone
from ccsight.toolbox.source_packages import LISTING, Index, SourcePackage

_SERIES = re.compile(r"\d+\.\d+")
#: Not imported: packaging, which changes with every revision though the code may not, and quilt's notes.
_NOT_SOURCE = ("debian", ".pc")


class _Imported(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A source package whose tree is in the object store."""

    package: SourcePackage
    tree: str


def resolve(spec: Spec, deadline: Deadline, report: tools.Report) -> Source:
    """Return the tree of a source package with the distribution's patches, imported once.

    Raises UsageError for a series or version that the archive does not have, ArchiveError, NoSpace,
    ToolMissing or DeadlineExceeded.
    """
    series, _, version = spec.value.partition("=")
    if version and (kept := _kept(series, version, deadline)):
        return _source(kept, (), deadline)
    known = LISTING.load(deadline, report)
    if not _candidates(known, series, version):
        known = _newer(known, spec, deadline, report)
    try:
        return _newest(known, spec, deadline, report)
    except PackageGone:  # the archive may have moved on since its lists were read
        known = LISTING.refresh(known.made, deadline, report)
        return _newest(known, spec, deadline, report)


def _candidates(known: Index, series: str, version: str) -> list[SourcePackage]:
    """Return the packages of a series, or the one of a version, newest first."""
    rows = [row for row in known.rows if _series(row) == series and version in ("", row.version)]
    return rows[::-1]


def _series(row: SourcePackage) -> str:
    match = _SERIES.match(row.version)
    return match[0] if match else ""


def _newest(known: Index, spec: Spec, deadline: Deadline, report: tools.Report) -> Source:
    """Return the first candidate that can be had.

    Raises PackageGone when one has gone and the lists are old enough to be read again.
    """
    series, _, version = spec.value.partition("=")
    candidates, passed = _candidates(known, series, version), list[SourcePackage]()
    for row in candidates:
        try:
            if row.sha256 not in known.gone:
                imported = _imported(row, known, deadline, report)
                if passed:
                    newest = f"{passed[0].version}{' and others' if len(passed) > 1 else ''}"
                    report(f"using {row.version}: the archive lists {newest}, but does not have the files")
                return _source(imported, passed, deadline)
        except PackageGone:
            if known.made < time.time() - FRESH:
                raise
            LISTING.forget(row, deadline)
        passed.append(row)
    if passed:
        raise ArchiveError(
            f"the archive lists {spec.value}, but does not have its files",
            evidence=_listed(passed),
            next_step=_others(known, series, passed) if version else tools.REACH,
        )
    raise _unknown(known, spec)


def _listed(rows: Sequence[SourcePackage]) -> str:
    return ", ".join(f"{row.version} ({row.suite})" for row in rows)


def _unknown(known: Index, spec: Spec) -> UsageError:
    series, _, _ = spec.value.partition("=")
    versions = [row.version for row in known.rows if _series(row) == series]
    if versions:
        evidence = f"versions of {series}: {', '.join(versions)}"
    else:
        evidence = f"series: {', '.join(dict.fromkeys(filter(None, map(_series, known.rows))))}"
    return UsageError(
        f"the archive has no source package for {spec.text}",
        evidence=evidence,
        next_step="deb-src:SERIES, or deb-src:SERIES=VERSION",
    )


def _others(known: Index, series: str, passed: Sequence[SourcePackage]) -> str:
    """Say which versions of a series are left to pin."""
    left = [row.version for row in _candidates(known, series, "") if row not in passed]
    return f"the archive lists {', '.join(left) or 'no other'}"


def _newer(known: Index, spec: Spec, deadline: Deadline, report: tools.Report) -> Index:
    """Read the lists again for something that they lack, unless they are fresh or out of reach."""
    if known.made > time.time() - FRESH:
        raise _unknown(known, spec)
    try:
        return LISTING.refresh(known.made, deadline, report)
    except ArchiveError as error:
        unknown = _unknown(known, spec)
        evidence = f"{unknown.evidence} (of the cached lists; for newer ones: {error.fact})"
        raise UsageError(unknown.fact, evidence=evidence, next_step=unknown.next_step) from error


def _source(imported: _Imported, passed: Sequence[SourcePackage], deadline: Deadline) -> Source:
    package = imported.package
    return Source(
        tree=imported.tree,
        objects=(objects.store(deadline) / "objects",),
        title=f"{package.package} {package.version}",
        provenance=(
            ("package", package.package),
            ("version", package.version),
            ("suite", package.suite),
            *((file.name, file.sha256) for file in package.files),
            *((("listed, but not there", _listed(passed)),) if passed else ()),
        ),
    )


def _records(deadline: Deadline) -> Path:
    """Where it is written down which tree a package became: in the object store, to share its fate."""
    return objects.store(deadline) / "packages"


def _escaped(version: str) -> str:
    return version.replace(":", "%3a")


def _kept(series: str, version: str, deadline: Deadline) -> _Imported | None:
    """Return a pinned package that has been imported, whatever the archive has now."""
    for path in sorted(_records(deadline).glob(f"*_{_escaped(version)}_*.json")):
        found = _read(path, deadline)
        if found and found.package.version == version and _series(found.package) == series:
            return found
    return None


def _read(record: Path, deadline: Deadline) -> _Imported | None:
    try:
        found = msgspec.json.decode(record.read_bytes(), type=_Imported)
    except (OSError, msgspec.DecodeError):
        return None
    return found if objects.holds(found.tree, (), deadline) else None


def _imported(row: SourcePackage, known: Index, deadline: Deadline, report: tools.Report) -> _Imported:
    name = f"{row.package}_{_escaped(row.version)}_{row.description.sha256[:12]}"
    record = _records(deadline) / f"{name}.json"
    if found := _read(record, deadline):
        return found
    with locked(record, deadline):
        if found := _read(record, deadline):
            return found
        imported = _import(row, Path(known.config), deadline, report)
        write_atomically(record, msgspec.json.encode(imported))
        return imported


def _import(row: SourcePackage, config: Path, deadline: Deadline, report: tools.Report) -> _Imported:
    for program, package in (("dpkg-source", "dpkg-dev"), ("patch", "patch"), ("xz", "xz-utils")):
        if not shutil.which(program):
            raise ToolMissing(f"{program} is not on this system", next_step=f"apt-get install {package}")
    folder = cache_dir() / "sources" / f"{row.package}_{_escaped(row.version)}.draft"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _discard(folder)  # under the record's lock, a draft is a killed run's
        folder.mkdir()
        tree = source_packages.unpack(row, config, folder, deadline, report)
        for name in filter(lambda name: (tree / name).exists(), _NOT_SOURCE):
            (tree / name).rename(folder / f"not-{name}")
        report(f"keeping {row.package} {row.version}")
        # --force: the tree is pristine, and the packaging's .gitignore ignores all of it.
        words = ("--force", "--", ".")
        return _Imported(
            package=row, tree=objects.import_folder(Folder(tree, folder / "index", words), deadline)
        )
    except OSError as error:
        raise explain(error, folder) from error
    finally:
        _discard(folder)


def _discard(folder: Path) -> None:
    """Remove what was unpacked, beside what comes next: 90,000 files can take a disk two minutes.

    What a process that ends meanwhile leaves is taken along by the next one.
    """
    if folder.exists():
        folder.rename(folder.with_name(f"{folder.stem}.{os.getpid()}.{time.monotonic_ns()}.trash"))
    for trash in folder.parent.glob("*.trash"):
        threading.Thread(target=shutil.rmtree, args=(trash, True), daemon=True).start()
