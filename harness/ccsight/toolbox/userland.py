"""The arm64 programs of the emulated machine: a shell, an SSH server and its SFTP half, with libraries."""

import shutil
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import ArchiveError
from ccsight.evidence.model import Package
from ccsight.evidence.record import to_json
from ccsight.store import entry, write_atomically
from ccsight.toolbox import apt, elf, packages, tools
from ccsight.toolbox.suites import Suite

#: Package -> its program, and where that goes.
_PROGRAMS = {
    "busybox-static": ("busybox", "bin/busybox"),
    "dropbear-bin": ("dropbear", "bin/dropbear"),
    "openssh-sftp-server": ("sftp-server", "usr/lib/sftp-server"),
}
_SUITES = ("stable", "testing", "unstable", "oldstable")
#: Raised when what is put into the cache changes.
_RECIPE = 1


def userland(deadline: Deadline, report: tools.Report) -> Path:
    """Return a folder with ``bin/busybox``, ``bin/dropbear``, ``usr/lib/sftp-server`` and ``lib/``.

    ``lib`` holds the loader and exactly the libraries that the three need. ``packages.json`` says
    what it was made of.
    """
    return entry(
        "toolbox", f"userland-arm64-{_RECIPE}", lambda folder: _fill(folder, deadline, report), deadline
    )


def _fill(folder: Path, deadline: Deadline, report: tools.Report) -> None:
    suite, view = _choose(deadline, report)
    wanted = apt.closure(view, list(_PROGRAMS), suite, deadline)
    report(f"arm64 userland of {suite.name}: {tools.megabytes(sum(remote.size for remote in wanted))}")
    debs = packages.fetch(wanted, view.config, deadline, lambda _: None)
    raw = folder / "raw"
    raw.mkdir()
    for deb in debs:
        packages.unpack(deb, raw, deadline)
    _arrange(raw, folder)
    shutil.rmtree(raw)
    used = [Package(name=each.package, version=each.version, sha256=each.sha256) for each in wanted]
    write_atomically(folder / "packages.json", to_json(used))
    packages.drop(debs)


def _choose(deadline: Deadline, report: tools.Report) -> tuple[Suite, apt.View]:
    suites = apt.available(deadline, report)
    some = suites.only(*_SUITES)
    if not some.all:
        raise ArchiveError(
            f"the archive has none of {', '.join(_SUITES)}", next_step="set CCSIGHT_MIRROR=URI"
        )
    first = some.all[0]
    return first, apt.update(some.only(first.name), "arm64", deadline, report)


def _arrange(raw: Path, folder: Path) -> None:
    programs = []
    for package, (name, place) in _PROGRAMS.items():
        found = [path for path in raw.rglob(name) if elf.is_elf(path)]  # hooks have such names, too
        if not found:
            raise ArchiveError(f"{package} holds no {name}", next_step="please report this")
        programs.append(folder / place)
        programs[-1].parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(found[0], programs[-1])
    library = folder / "lib"
    library.mkdir()
    for name, path in elf.closure(programs, elf.libraries(raw)).items():
        shutil.copy2(path.resolve(), library / name)
