"""An arm64 QEMU of any series that the archive has, to run as a VMM inside a host, with its libraries.

``toolbox/qemu.py`` is the emulator that runs here; this one runs there, with KVM, and takes nothing of the
host's system but the kernel: its loader and its libraries go with it.
"""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import ArchiveError
from ccsight.evidence.model import Package
from ccsight.evidence.record import to_json
from ccsight.store import entry, write_atomically
from ccsight.toolbox import apt, elf, packages, stanzas, tools
from ccsight.toolbox.packages import Remote
from ccsight.toolbox.suites import Suite

PROGRAM = "qemu-system-aarch64"
_PACKAGE = "qemu-system-arm"
#: What can hold a library that the program names: firmware, and what only a desktop wants, is not fetched.
_LOADED = re.compile(rf"(lib|zlib).*|{_PACKAGE}")
_SUITES = ("stable", "oldstable", "testing", "unstable")
#: Raised when what is put into the cache changes.
_RECIPE = 1


def arm64_qemu(series: str, deadline: Deadline, report: tools.Report) -> Path:
    """Return a folder with ``bin/qemu-system-aarch64`` of a series such as ``7.2``, and ``lib/``.

    ``lib`` holds exactly what the program's loader loads, the loader ``lib/ld-linux-aarch64.so.1`` included;
    ``packages.json`` says what it was made of. It stays as it was fetched first. Raises ArchiveError with the
    series that there are when the archive has no such one.
    """
    key = f"qemu-arm64-{series}-{_RECIPE}"
    return entry("toolbox", key, lambda folder: _fill(series, folder, deadline, report), deadline)


def _fill(series: str, folder: Path, deadline: Deadline, report: tools.Report) -> None:
    suite, view, version = _choose(series, deadline, report)
    wanted = apt.closure(view, [_PACKAGE], suite, deadline)
    loaded = [remote for remote in wanted if _LOADED.fullmatch(remote.package)]
    report(f"arm64 QEMU {version} of {suite.codename}: {tools.megabytes(sum(r.size for r in loaded))}")
    debs = packages.fetch(loaded, view.config, deadline, lambda _: None)
    raw = folder / "raw"
    raw.mkdir()
    for deb in debs:
        packages.unpack(deb, raw, deadline)
    _arrange(raw, folder)
    shutil.rmtree(raw)
    write_atomically(folder / "packages.json", to_json(_used(loaded)))
    packages.drop(debs)


def _choose(series: str, deadline: Deadline, report: tools.Report) -> tuple[Suite, apt.View, str]:
    """Return the first suite whose QEMU, the one that apt takes from it, is of the series; its version."""
    suites = apt.available(deadline, report)
    seen = []
    for suite in suites.only(*_SUITES).all:
        view = apt.update(suites.only(suite.name), "arm64", deadline, report)
        for _, path in apt.lists(view, deadline):
            versions = [stanza.version for stanza in stanzas.scan(path, _PACKAGE, deadline)]
            newest = max(versions, key=stanzas.by_version, default="")
            if _of_series(newest, series):
                return suite, view, newest
            seen += versions
    raise ArchiveError(
        f"the archive has no QEMU {series} for arm64",
        evidence=f"it has {', '.join(dict.fromkeys(seen)) or 'none'}",
        next_step="name one of these series",
    )


def _of_series(version: str, series: str) -> bool:
    """Return whether ``1:10.0.13+ds-0`` is of the series ``10.0``: whole numbers count."""
    return re.match(rf"(\d+:)?{re.escape(series)}(?!\d)", version) is not None


def _used(remotes: Iterable[Remote]) -> list[Package]:
    return [Package(name=each.package, version=each.version, sha256=each.sha256) for each in remotes]


def _arrange(raw: Path, folder: Path) -> None:
    """Lay out the program and all that it loads; nothing else of the packages is kept."""
    program = folder / "bin" / PROGRAM
    found = raw / "usr/bin" / PROGRAM
    if not elf.is_elf(found):
        raise ArchiveError(f"{_PACKAGE} holds no {PROGRAM}", next_step="please report this")
    program.parent.mkdir()
    shutil.copy2(found, program)
    library = folder / "lib"
    library.mkdir()
    for name, path in elf.closure([program], elf.libraries(raw)).items():
        shutil.copy2(path.resolve(), library / name)
