"""The arm64 programs of the emulated machine: a shell, an SSH server and its SFTP half, with libraries.

And those of a Linux guest in it: what shows a user the caches.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import ArchiveError
from ccsight.evidence.model import Package
from ccsight.evidence.record import to_json
from ccsight.store import entry, write_atomically
from ccsight.toolbox import apt, elf, packages, tools
from ccsight.toolbox.suites import Suite

#: Package -> its program, and where that goes.
_Programs = Mapping[str, tuple[str, str]]
_PROGRAMS: _Programs = {
    "busybox-static": ("busybox", "bin/busybox"),
    "dropbear-bin": ("dropbear", "bin/dropbear"),
    "openssh-sftp-server": ("sftp-server", "usr/lib/sftp-server"),
}
_GUEST_PROGRAMS: _Programs = {"util-linux": ("lscpu", "bin/lscpu")}
_SUITES = ("stable", "testing", "unstable", "oldstable")
#: Raised when what is put into the cache changes.
_RECIPE = 1


def userland(deadline: Deadline, report: tools.Report) -> Path:
    """Return a folder with ``bin/busybox``, ``bin/dropbear``, ``usr/lib/sftp-server`` and ``lib/``.

    ``lib`` holds the loader and exactly the libraries that the three need. ``packages.json`` says
    what it was made of.
    """
    return _userland("userland-arm64", _PROGRAMS, deadline, report)


def guest_userland(deadline: Deadline, report: tools.Report) -> Path:
    """Return a folder with ``bin/lscpu`` and ``lib/``, made in the same way."""
    return _userland("guest-userland-arm64", _GUEST_PROGRAMS, deadline, report)


def _userland(name: str, programs: _Programs, deadline: Deadline, report: tools.Report) -> Path:
    def fill(folder: Path) -> None:
        _fill(folder, programs, deadline, report)

    return entry("toolbox", f"{name}-{_RECIPE}", fill, deadline)


def _fill(folder: Path, programs: _Programs, deadline: Deadline, report: tools.Report) -> None:
    suite, view = _choose(deadline, report)
    wanted = apt.closure(view, list(programs), suite, deadline)
    report(f"arm64 userland of {suite.name}: {tools.megabytes(sum(remote.size for remote in wanted))}")
    debs = packages.fetch(wanted, view.config, deadline, lambda _: None)
    raw = folder / "raw"
    raw.mkdir()
    for deb in debs:
        packages.unpack(deb, raw, deadline)
    _arrange(raw, folder, programs)
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


def _arrange(raw: Path, folder: Path, wanted: _Programs) -> None:
    programs = []
    for package, (name, place) in wanted.items():
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
