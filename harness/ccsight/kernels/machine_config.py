"""``kconfig=machine:NAME``: the configuration and the loaded modules of the kernel that a machine runs.

A machine is asked once. What it said lies in the cache under its hash, and ``machine:NAME=HASH`` names just
that. It is untrusted: its strings end up in makefiles, and could name files of this system.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import HostRefused, UsageError
from ccsight.paths import cache_dir
from ccsight.store import entry
from ccsight.toolbox.tools import Report

#: What the value of such an option begins with.
PREFIX = "machine:"
_FOLDER, _OPTIONS, _MODULES = "configs", "config", "modules"
#: Of a distribution's configuration, which has 13,000 lines in 340 KB; of modules, a machine has some 200.
_MOST_LINES, _MOST_MODULES = 50_000, 5_000
_LINE = re.compile(
    r"(?:CONFIG_(?P<name>[A-Za-z0-9_]{1,100})=(?P<value>[ymn]|-?\d{1,20}|0[xX][0-9a-fA-F]{1,16}"
    # Some makefiles hand a string to a shell, without quotes.
    r"|\"[\w .,:/+=@%()\[\]~^-]{0,2000}\")|# CONFIG_(?P<off>[A-Za-z0-9_]{1,100}) is not set)",
    re.ASCII,
)
_MODULE = re.compile(r"[A-Za-z0-9_]{1,64}")
_KEY = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Told:
    """What a machine says of the kernel that it runs, as it came; ``file`` holds its configuration there."""

    file: str
    config: str
    modules: tuple[str, ...]


@dataclass(frozen=True)
class MachineConfig:
    """A machine's configuration, proved: its ``options``, a line each, and its loaded ``modules``, sorted."""

    machine: str
    key: str
    options: tuple[str, ...]
    modules: tuple[str, ...]

    @property
    def pinned(self) -> str:
        """The value of ``kconfig=`` that means just this one."""
        return f"{PREFIX}{self.machine}={self.key}"

    def without(self, names: frozenset[str]) -> str:
        """Return the configuration as kconfig reads it, without some options; what is loaded is a comment."""
        lines = (f"{line}\n" for line in self.options if name_in(line) not in names)
        return f"# loaded: {' '.join(self.modules)}\n{''.join(lines)}"


#: Asks a machine, by its name.
Ask = Callable[[str, Deadline, Report], Told]
_ASKS: list[Ask] = []
_ASKED: dict[str, MachineConfig] = {}


def machines_are_asked_by(ask: Ask) -> None:
    """Say who asks machines: how they are reached is known above this layer."""
    _ASKS[:] = [ask]
    _ASKED.clear()


def named(values: Sequence[str]) -> str:
    """Return the one value of ``kconfig=`` that names a machine, "" for none. Raises UsageError for two."""
    found = [value for value in dict.fromkeys(values) if value.startswith(PREFIX)]
    if found[1:]:
        raise UsageError(
            "a kernel cannot be built on the configurations of two machines",
            evidence=" ".join(f"kconfig={value}" for value in found),
            next_step="leave all but one out",
        )
    return found[0] if found else ""


def of(value: str, deadline: Deadline, report: Report) -> MachineConfig:
    """Return the configuration that ``machine:NAME``, or ``machine:NAME=HASH``, means.

    A machine is asked once, however many kernels are built on what it says. Raises UsageError (no such
    machine, or none that has a configuration of arm64, or one that is not in the cache any more), HostRefused
    (an answer that is none) or what says why it cannot be reached.
    """
    machine, _, key = value.removeprefix(PREFIX).partition("=")
    if key:
        return _kept(machine, key)
    if machine not in _ASKED:
        if not _ASKS:
            raise UsageError(
                f"nobody here can ask {machine} for its configuration",
                next_step="kconfig=FILE, with a copy of it",
            )
        told = _ASKS[0](machine, deadline, report)
        _ASKED[machine] = _keep(proved(machine, told), deadline)
        _say(_ASKED[machine], told, report)
    return _ASKED[machine]


def proved(machine: str, told: Told) -> MachineConfig:
    """Return what a machine said, once it is clear that it is a configuration of arm64, and nothing else.

    Comments go. So do strings with a slash, for which the tree's own values stand: they are files of whoever
    built that kernel, and must not be taken for some of this system.
    """
    lines = told.config.splitlines()
    if len(lines) > _MOST_LINES or len(told.modules) > _MOST_MODULES:
        raise _unlike(machine, told, f"{len(lines)} lines, {len(told.modules)} modules")
    odd = [repr(line[:200]) for line in lines if not _passes(line)]
    odd += [f"a module named {name[:200]!r}" for name in told.modules if not _MODULE.fullmatch(name)]
    if odd:
        raise _unlike(machine, told, odd[0])
    if "CONFIG_ARM64=y" not in lines:
        others = [line for line in lines if line in ("CONFIG_X86=y", "CONFIG_ARM=y", "CONFIG_RISCV=y")]
        raise UsageError(
            f"the configuration of {machine} is not one of arm64",
            evidence=f"{told.file} has {others[0] if others else 'no CONFIG_ARM64=y'}",
            next_step="see there what that file is, and which kernel runs: uname -mr",
        )
    options = tuple(line for line in lines if name_in(line) and not _is_path(line))
    modules = tuple(sorted(set(told.modules)))
    return MachineConfig(machine, _key(options, modules), options, modules)


def name_in(line: str) -> str:
    """Return the name of the option that a line is about, "" for a comment."""
    match = _LINE.fullmatch(line)
    return (match["name"] or match["off"]) if match else ""


def _passes(line: str) -> bool:
    return bool(name_in(line)) or not line.strip() or line.startswith("#")


def _is_path(line: str) -> bool:
    return line.endswith('"') and "/" in line


def _unlike(machine: str, told: Told, evidence: str) -> HostRefused:
    return HostRefused(
        f"what {machine} sent is not a kernel's configuration",
        evidence=f"{told.file}: {evidence}",
        next_step="see that file there; kconfig=FILE takes a part of it that is right",
    )


def _key(options: Sequence[str], modules: Sequence[str]) -> str:
    return hashlib.sha256("\n".join([*options, "", *modules]).encode()).hexdigest()[:16]


def _keep(config: MachineConfig, deadline: Deadline) -> MachineConfig:
    def fill(folder: Path) -> None:
        (folder / _OPTIONS).write_text("".join(f"{line}\n" for line in config.options))
        (folder / _MODULES).write_text("".join(f"{name}\n" for name in config.modules))

    entry(_FOLDER, config.key, fill, deadline)
    return config


def _kept(machine: str, key: str) -> MachineConfig:
    """Return what a machine once said; the hash proves it."""
    place = cache_dir() / _FOLDER / key
    known = bool(_KEY.fullmatch(key)) and place.is_dir()
    options, modules = (_lines(place / name) if known else () for name in (_OPTIONS, _MODULES))
    if _key(options, modules) != key:
        raise UsageError(
            f"the cache has no configuration {key} of {machine}",
            evidence=f"it would be {place}",
            next_step=f"have the machine asked anew: kconfig={PREFIX}{machine}",
        )
    return MachineConfig(machine, key, options, modules)


def _lines(path: Path) -> tuple[str, ...]:
    return tuple(path.read_text().splitlines()) if path.is_file() else ()


def _say(config: MachineConfig, told: Told, report: Report) -> None:
    report(
        f"{config.machine}: {told.file}, {len(config.options)} options, {len(config.modules)} modules loaded"
        f" ({config.key})"
    )
    if "CONFIG_KVM=y" not in config.options:
        report(f"note: {config.machine}'s own kernel has no KVM; what is built on its configuration has")
