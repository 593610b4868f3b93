"""What ccsight needs of this system, whether it is there, and the line that mends it. Changes nothing."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import CcsightError
from ccsight.paths import cache_dir
from ccsight.toolbox import qemu, sources, tools

_SECONDS = 20.0
#: What a cold cache comes to with the default comparison, unpacked.
_ROOM = 3 << 30


@dataclass(frozen=True)
class Need:
    """One thing that is needed: ``found`` says what is there, ``mend`` is a line to paste, "" when met."""

    name: str
    why: str
    met: bool
    found: str
    mend: str = ""


def examine() -> tuple[Need, ...]:
    """Return everything that the main job needs of this system, met or not."""
    return tuple(look() for look in _LOOKS)


def _python() -> Need:
    version = ".".join(map(str, sys.version_info[:3]))
    met = sys.version_info >= (3, 11)
    return Need("Python ≥ 3.11", "runs ccsight", met, version, "" if met else "apt-get install python3")


def _program(name: str, why: str, package: str) -> Callable[[], Need]:
    def look() -> Need:
        path = shutil.which(name)
        return Need(name, why, bool(path), path or "not there", "" if path else f"apt-get install {package}")

    return look


def _libc() -> Need:
    """The libc that static arm64 programs are linked with; on an arm64 machine it is the system's own."""
    places = [Path("/usr/aarch64-linux-gnu/lib/libc.a"), Path("/usr/lib/aarch64-linux-gnu/libc.a")]
    found = next((path for path in places if path.exists()), None)
    mend = "" if found else "apt-get install libc6-dev-arm64-cross"
    return Need("arm64 libc", "builds the probe", found is not None, str(found or "not there"), mend)


def _archive() -> Need:
    why = "fetches kernels, QEMU and the arm64 userland"
    try:
        mirror = sources.mirror(Deadline(_SECONDS))
    except CcsightError as error:
        return Need("package archive", why, met=False, found=error.fact, mend=error.next_step)
    return Need("package archive", why, met=True, found=mirror.main)


def _emulator() -> Need:
    why = "is the arm64 host"
    name = f"QEMU ≥ {qemu.MINIMUM[0]}.{qemu.MINIMUM[1]}"
    try:
        found = qemu.present(Deadline(_SECONDS))
    except CcsightError as error:
        return Need(name, why, met=False, found=error.fact, mend=error.next_step)
    said = (
        f"{found.version_text}: {found.provenance.partition(',')[0]}"
        if found
        else "will be fetched on first use"
    )
    return Need(name, why, met=True, found=said)


def _cache() -> Need:
    place = cache_dir()
    existing = next(folder for folder in (place, *place.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    writable = os.access(existing, os.W_OK)
    said = f"{place}: {tools.megabytes(free)} free" if writable else f"{place}: not writable"
    met = writable and free >= _ROOM
    mend = "" if met else "export XDG_CACHE_HOME=/a/folder/with/3/GB"
    return Need("cache", "keeps what was fetched and built", met, said, mend)


_LOOKS: tuple[Callable[[], Need], ...] = (
    _python,
    _program("apt-get", "reads the package archive", "apt"),
    _program("dpkg-deb", "unpacks packages", "dpkg"),
    _program("ssh-keygen", "signs bundles, and says who did", "openssh-client"),
    _program("setpriv", "ends QEMU when ccsight ends", "util-linux"),
    _program("aarch64-linux-gnu-gcc", "builds the probe and the guests", "gcc-aarch64-linux-gnu"),
    _libc,
    _program("git", "keeps the sources of kernels that are built here", "git"),
    _program("dpkg-source", "unpacks source packages", "dpkg-dev"),
    _program("make", "builds kernels", "make"),
    _program("gcc", "builds kernels' own tools", "gcc libc6-dev"),
    _program("flex", "builds kernels' own tools", "flex"),
    _program("bison", "builds kernels' own tools", "bison"),
    _program("bc", "builds kernels", "bc"),
    _archive,
    _emulator,
    _cache,
)
