"""A QEMU that is new enough: the one that is named, the system's, or one of the archive's.

The last is unpacked into the cache and runs through its own loader, beside whatever libraries the
system has.
"""

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import ArchiveError, UsageError
from ccsight.paths import cache_dir
from ccsight.store import entry, write_atomically
from ccsight.toolbox import apt, elf, packages, stanzas, tools
from ccsight.toolbox.packages import Remote
from ccsight.toolbox.suites import Suite, Suites

#: The first release whose TCG plugins may write registers.
MINIMUM = (10, 1, 0)
PROGRAM = "qemu-system-aarch64"
_PACKAGE = "qemu-system-arm"
#: Where a new enough one is looked for, in this order; backports builds upon stable.
_SUITES = (("stable",), ("stable-backports", "stable"), ("testing",), ("unstable",))
#: Raised when what is put into the cache changes.
_RECIPE = 1
#: Dependencies of the packages that hold nothing which the program loads.
_NOT_LOADED = re.compile(
    r"systemd|seabios|ipxe-qemu|adduser|passwd|.*-data(?<!qemu-system-data)|.*-common(-bin)?"
)
_VERSION = re.compile(r"version (\d+)\.(\d+)\.(\d+)")
#: The families without a 64-bit mode, which QEMU lists among the others; all else it has is AArch64.
_AARCH32_ONLY = re.compile(r"arm\d|cortex-[mr]\d|cortex-a(5|7|8|9|12|15|17|32)$|pxa|sa1\d|ti9|host$")
#: What the ``virt`` board says when it is given a model of a board of another kind.
_VALID = re.compile(r"The valid models are: (.+)")
_OF_OTHER_BOARDS = re.compile(r"arm\d|cortex-m\d")


@dataclass(frozen=True)
class Qemu:
    """A QEMU that can be started with ``argv`` plus options. ``provenance`` says where it is from."""

    argv: tuple[str, ...]
    version: tuple[int, int, int]
    provenance: str

    @property
    def version_text(self) -> str:
        """The version as people write it."""
        return ".".join(map(str, self.version))


class _Unpacked(msgspec.Struct, frozen=True):
    """What the cache says of an unpacked QEMU; the paths are relative to its folder."""

    loader: str
    libraries: tuple[str, ...]
    version: tuple[int, int, int]
    provenance: str


def qemu(deadline: Deadline, report: tools.Report) -> Qemu:
    """Return the QEMU to use.

    Raises UsageError when the one named by CCSIGHT_QEMU is too old, ArchiveError when none can be had.
    """
    found = present(deadline)
    if found:
        return found
    system = shutil.which(PROGRAM)
    if system:
        report(f"{system} is older than {_dotted(MINIMUM)}: using the archive's")
    place = entry("toolbox", _key(), lambda folder: _fill(folder, deadline, report), deadline)
    return _cached(place)


def present(deadline: Deadline) -> Qemu | None:
    """Return the QEMU to use if nothing has to be fetched for it, else None."""
    named = os.environ.get("CCSIGHT_QEMU")
    if named:
        return _named(named, deadline)
    system = shutil.which(PROGRAM)
    if system:
        version, text = ask_version((system,), deadline)
        if version >= MINIMUM:
            return Qemu((system,), version, f"{system}: {text}")
    place = cache_dir() / "toolbox" / _key()
    return _cached(place) if place.is_dir() else None


def identity(which: Qemu) -> str:
    """Return a name for this very QEMU; another build in the same place gets another one."""
    binary = Path(next(word for word in reversed(which.argv) if PROGRAM in word or word == which.argv[0]))
    facts = repr((which, binary.stat().st_mtime_ns if binary.exists() else 0))
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def models(which: Qemu, deadline: Deadline) -> tuple[str, ...]:
    """Return the 64-bit CPU models that its ``virt`` board takes, sorted; the answer is kept in the cache."""
    memo = cache_dir() / "toolbox" / f"virt-models-{identity(which)}.json"
    if memo.exists():
        return msgspec.json.decode(memo.read_bytes(), type=tuple[str, ...])
    said = process.run([*which.argv, "-M", "virt", "-cpu", "help"], deadline).text
    listed = [words[0] for line in said.splitlines() if line.startswith(" ") and (words := line.split())]
    taken = _taken(which, listed, deadline) or listed
    found = tuple(sorted(name for name in listed if name in taken and not _AARCH32_ONLY.match(name)))
    memo.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(memo, msgspec.json.encode(found))
    return found


def _taken(which: Qemu, listed: list[str], deadline: Deadline) -> list[str]:
    """Return the models that the board takes, as it says itself when it refuses one; nothing if it does not.

    QEMU lists every model that any board has: ``virt`` refuses cortex-a78ae, which is Tegra's.
    """
    foreign = next((name for name in listed if _OF_OTHER_BOARDS.match(name)), "")
    if not foreign:
        return []
    argv = [*which.argv, "-M", "virt", "-cpu", foreign, "-display", "none"]
    refused = _VALID.search(
        process.run(argv, deadline.within(20), expect=None).stderr.decode(errors="replace")
    )
    return refused[1].strip().split(", ") if refused else []


def _named(name: str, deadline: Deadline) -> Qemu:
    path = shutil.which(name)
    if not path:
        raise UsageError(f"CCSIGHT_QEMU={name} is not a program", next_step=f"name a {PROGRAM}, or unset it")
    version, text = ask_version((path,), deadline)
    if version < MINIMUM:
        raise UsageError(
            f"{name} is QEMU {_dotted(version)}; {_dotted(MINIMUM)} or newer is needed",
            evidence=text,
            next_step="unset CCSIGHT_QEMU to let ccsight fetch one, or name a newer one",
        )
    return Qemu((path,), version, f"{path}: {text}")


def ask_version(argv: tuple[str, ...], deadline: Deadline) -> tuple[tuple[int, int, int], str]:
    """Return the version that a QEMU says, as numbers and as text. Raises UsageError for another program."""
    text = process.run([*argv, "--version"], deadline.within(10)).text
    match = _VERSION.search(text)
    if not match:
        raise UsageError(
            f"{argv[-1]} does not say which QEMU it is",
            evidence=text[:200],
            next_step="CCSIGHT_QEMU names a qemu-system-aarch64; unset, one is found",
        )
    return (int(match[1]), int(match[2]), int(match[3])), text.splitlines()[0]


def _dotted(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version)).removesuffix(".0")


def _key() -> str:
    return f"qemu-{_dotted(MINIMUM)}-{os.uname().machine}-{_RECIPE}"


def _cached(place: Path) -> Qemu:
    about = msgspec.json.decode((place / "qemu.json").read_bytes(), type=_Unpacked)
    return Qemu(_argv(place, about), about.version, about.provenance)


def _argv(place: Path, about: _Unpacked) -> tuple[str, ...]:
    """Compose the command: no library of the system's is ever mixed in."""
    path = ":".join(str(place / folder) for folder in about.libraries)
    loader = (str(place / about.loader), "--inhibit-cache", "--library-path", path)
    return (*loader, str(place / "usr/bin" / PROGRAM), "-L", str(place / "usr/share/qemu"))


def _fill(folder: Path, deadline: Deadline, report: tools.Report) -> None:
    suite, wanted, config = _choose(deadline, report)
    loaded = [remote for remote in wanted if not _NOT_LOADED.fullmatch(remote.package)]
    report(f"QEMU of {suite.name}: {len(loaded)} packages, {tools.megabytes(sum(r.size for r in loaded))}")
    debs = packages.fetch(loaded, config, deadline, lambda _: None)
    for deb in debs:
        packages.unpack(deb, folder, deadline)
    _keep_what_it_loads(folder)
    about = _about(folder, next(remote for remote in wanted if remote.package == _PACKAGE), suite)
    version, _ = ask_version(_argv(folder, about), deadline)
    write_atomically(
        folder / "qemu.json", msgspec.json.encode(msgspec.structs.replace(about, version=version))
    )
    packages.drop(debs)


def _choose(deadline: Deadline, report: tools.Report) -> tuple[Suite, tuple[Remote, ...], Path]:
    """Return the first suite with a new enough QEMU, and that QEMU with its dependencies."""
    architecture = apt.native_architecture(deadline)
    suites = apt.available(deadline, report)
    seen: list[str] = []
    for names in _SUITES:
        some = suites.only(*names)
        if not some.all or some.all[0].name != names[0]:
            continue
        view = apt.update(some, architecture, deadline, report)
        version = _listed_version(view, some, deadline)
        seen.append(f"{names[0]}: {version or 'none'}")
        if version and _upstream(version) >= MINIMUM:
            return some.all[0], apt.closure(view, [_PACKAGE], some.all[0], deadline), view.config
    raise ArchiveError(
        f"the archive has no QEMU {_dotted(MINIMUM)} or newer",
        evidence="; ".join(seen) or "it has none of the suites that could",
        next_step=f"install one and name it: CCSIGHT_QEMU=/path/to/{PROGRAM}",
    )


def _listed_version(view: apt.View, suites: Suites, deadline: Deadline) -> str:
    for suite, path in apt.lists(view, deadline):
        if suite == suites.all[0]:
            found = [stanza.version for stanza in stanzas.scan(path, _PACKAGE, deadline)]
            return max(found, key=stanzas.by_version, default="")
    return ""


def _upstream(version: str) -> tuple[int, ...]:
    """Return the numbers of ``1:11.1.3+ds-1`` as (11, 1, 3)."""
    match = re.match(r"(?:\d+:)?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def _keep_what_it_loads(folder: Path) -> None:
    """Drop all but the program, the libraries that it names, and the firmware beside it."""
    program = folder / "usr/bin" / PROGRAM
    if not program.exists():
        raise ArchiveError(f"{_PACKAGE} holds no {PROGRAM}", next_step=f"CCSIGHT_QEMU=/path/to/{PROGRAM}")
    library = folder / "kept"
    library.mkdir()
    for name, path in elf.closure([program], elf.libraries(folder)).items():
        shutil.copy2(path.resolve(), library / name)
    share = folder / "usr/share/qemu"
    share.mkdir(parents=True, exist_ok=True)
    for path, to in ((program, folder / "program"), (share, folder / "share")):
        path.rename(to)
    for path in folder.iterdir():
        if path.name not in {"kept", "program", "share"}:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for old, new in (("kept", "usr/lib"), ("program", f"usr/bin/{PROGRAM}"), ("share", "usr/share/qemu")):
        (folder / new).parent.mkdir(parents=True, exist_ok=True)
        (folder / old).rename(folder / new)


def _about(folder: Path, remote: Remote, suite: Suite) -> _Unpacked:
    loader, _ = elf.needs(folder / "usr/bin" / PROGRAM)
    provenance = f"{remote.package} {remote.version} of {suite.codename}, SHA256 {remote.sha256}"
    return _Unpacked(f"usr/lib/{Path(loader).name}", ("usr/lib",), (0, 0, 0), provenance)
