"""From a kernel's source to a bootable Image: configure, prove, make, identify. It knows no spec.

Builds happen in a *lineage*: a folder of the cache whose worktree is moved from source to source, so that
make only builds what differs. Nothing in a build depends on time, user or place.
"""

import hashlib
import os
import re
import shlex
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import InfraError, NoSpace
from ccsight.evidence.model import BuildFacts, PatchFacts
from ccsight.kernels import hardware, kconfig, lineage, objects, reads, resolved, stored
from ccsight.kernels.kconfig import Merged
from ccsight.kernels.objects import Source
from ccsight.kernels.toolchain import Toolchain
from ccsight.store import write_atomically
from ccsight.toolbox import elf
from ccsight.toolbox.tools import Report

LOG = "build.log"
#: Raised when what is kept of a build changes: what an older ccsight stored is then built anew.
_RECIPE = "2"
#: Seconds between two lines about a build that goes on.
_PULSE = 10.0
_STEP = re.compile(r"^  (CC|AS|LD|AR|HOSTCC|VDSO\d*|NVHE|HYP\w*|OBJCOPY|GEN|CHK|UPD|SYSMAP|KSYMS)\b")
#: What a compiler or linker says when the source is wrong ...
_AT_FAULT = re.compile(
    r"^(?P<file>[^\s:]+\.[chSl\w]+):(?P<line>\d+)(?::\d+)?: (?:fatal )?error: (?P<said>.*)$"
)
_UNLINKED = re.compile(r"(?P<said>(?:\S+: )?undefined reference to .*|^ERROR: modpost: .*)$")
#: ... and what is said when this system is.
_EXHAUSTED = re.compile(
    r"Killed|virtual memory exhausted|Cannot allocate memory|out of memory", re.IGNORECASE
)
_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded")


class MakeFailed(InfraError):
    """A make ended in an error, and not because this system has too little of something."""


class CompileError(MakeFailed):
    """The compiler or the linker refuses the source. Whose fault that is takes a build of the base."""


@dataclass(frozen=True)
class Order:
    """What to build: a patched source, a configuration, a toolchain; ``spec`` is who asked."""

    source: Source
    patches: tuple[PatchFacts, ...]
    config: Merged
    toolchain: Toolchain
    title: str
    spec: str

    @property
    def key(self) -> str:
        """The store's name for the result; two orders with the same one give the same kernel."""
        parts = [_RECIPE, self.source.tree, kconfig.text(self.config), self.toolchain.identity]
        parts += [hardware.identity()]
        parts += [patch.sha256 for patch in self.patches]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]

    @property
    def lineage(self) -> str:
        """The name that the build folders for all orders of this configuration and toolchain share."""
        config = kconfig.text(self.config) + self.toolchain.identity
        return hashlib.sha256(config.encode()).hexdigest()[:12]


@dataclass
class Watch:
    """Follows a build's output: counts, keeps what went wrong, and says now and then how far it is."""

    title: str
    report: Report
    errors: list[str] = field(default_factory=list)
    steps: int = 0
    began: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)

    def line(self, line: str) -> None:
        """Take one line of output."""
        self.steps += bool(_STEP.match(line))
        if _AT_FAULT.match(line) or _UNLINKED.search(line):
            self.errors.append(line)
        if time.monotonic() - self.told > _PULSE:
            self.told = time.monotonic()
            self.say("building")

    def say(self, stage: str) -> None:
        """Report a stage, the number of files done and the seconds since the start."""
        self.report(f"{stage} {self.title}: {self.steps} files, {time.monotonic() - self.began:.0f} s")


def build(order: Order, folder: Path, deadline: Deadline, report: Report) -> None:
    """Build a kernel into ``folder``: Image, config, build.log, reads, kernel.json, and our module if it can.

    Raises CompileError, KconfigDropped, NoSpace, ToolMissing or InfraError; the log of a build that
    failed stays in the lineage.
    """
    watch = Watch(order.title, report)
    with lineage.borrowed(order.lineage, order.source, deadline, report) as home:
        report(f"preparing {order.title}")
        tree = lineage.worktree(home)
        objects.move(tree, order.source, deadline)
        files = objects.files(order.source, deadline)
        with (home / LOG).open("wb") as file:
            place = _Place(home, tree, file, watch)
            file.write(f"# again: ccsight build {shlex.quote(order.spec)}\n".encode())
            config = _configure(order, files, place, deadline)
            _make(order, ["Image", *hardware.preparation(config)], place, deadline)
            module = _module(order, config, place, deadline)
        _keep(order, tree, folder, config, module)
        reads.note(folder, tree, files)
        shutil.copy2(home / LOG, folder / LOG)
    watch.say("built")


@dataclass(frozen=True)
class _Place:
    """Where a make runs - a worktree of a build folder - and who reads along."""

    folder: Path
    tree: Path
    log: BinaryIO
    watch: Watch


def _configure(order: Order, files: Mapping[str, str], place: _Place, deadline: Deadline) -> str:
    """Return the .config that the worktree now has, and that has every option that was asked for."""
    identity = resolved.identity(kconfig.text(order.config), files)
    path, known = place.tree / ".config", resolved.known(place.folder, identity, order.key)
    if known is None:
        _make(order, ["allnoconfig"], place, deadline)
    elif not path.exists() or path.read_text() != known:
        path.write_text(known)
    config = path.read_text()
    kconfig.prove(order.config, config, place.tree)
    resolved.keep(place.folder, identity, config)
    return config


def _make(order: Order, goals: list[str], place: _Place, deadline: Deadline) -> None:
    wanted = place.folder / "wanted.config"
    salted = f'{kconfig.text(order.config)}CONFIG_BUILD_SALT="{order.key}"\n'
    write_atomically(wanted, salted.encode())
    argv = ["make", f"-j{os.cpu_count() or 1}", *order.toolchain.make, *goals]
    env = dict(order.toolchain.env) | {"KCONFIG_ALLCONFIG": str(wanted)}
    status = process.follow(argv, deadline, log=place.log, on_line=place.watch.line, cwd=place.tree, env=env)
    place.log.flush()
    if status:
        raise _failure(order, place)


def _module(order: Order, config: str, place: _Place, deadline: Deadline) -> Path | None:
    """Build our module for the kernel in the worktree; None where that fails, and the log says why."""
    problem = "it loads no modules: CONFIG_MODULES is off"
    if hardware.loads_modules(config):
        where = hardware.put_sources(place.folder / "guests")
        try:
            _make(order, hardware.goals(where, place.tree), place, deadline)
        except MakeFailed as error:
            problem = error.fact
        else:
            return where / hardware.NAME
    place.log.write(f"# this kernel has no {hardware.NAME}: {problem}\n".encode())
    return None


def _failure(order: Order, place: _Place) -> InfraError:
    """Return what a failed make means, by what it printed."""
    log = place.folder / LOG
    lines = log.read_text(errors="replace").splitlines()
    last = "\n            ".join(lines[-6:])
    if any(_DISK_FULL.search(line) for line in lines[-200:]):
        return NoSpace(
            f"no space left while building {order.title}", evidence=last, next_step="ccsight kernels prune"
        )
    if any(_EXHAUSTED.search(line) for line in lines[-200:]):
        return InfraError(f"building {order.title} ran out of memory", evidence=last, next_step=f"read {log}")
    if place.watch.errors:
        return CompileError(
            f"{order.title} does not build: {place.watch.errors[0]}",
            evidence=last,
            next_step=f"the whole log: {log}",
        )
    return MakeFailed(f"make failed for {order.title}", evidence=last, next_step=f"the whole log: {log}")


def _keep(order: Order, tree: Path, folder: Path, config: str, module: Path | None) -> None:
    """Take what a boot needs out of the worktree, and write down what it was made of."""
    shutil.copy2(tree / "arch/arm64/boot/Image", folder / "Image")
    if module:
        shutil.copy2(module, folder / hardware.NAME)
    (folder / "config").write_text(config)
    facts = BuildFacts(
        source=order.source.title,
        provenance=order.source.provenance,
        tree=order.source.tree,
        patches=order.patches,
        fragments=order.config.names,
        config_sha256=_config_sha256(config),
        toolchain=order.toolchain.name,
        code_sha256=elf.code_sha256(tree / "vmlinux", order.key),
    )
    stored.write_built(folder, elf.build_id(tree / "vmlinux"), facts, module=hardware.NAME if module else "")


def _config_sha256(config: str) -> str:
    """Hash a resolved .config without comments and without the salt, which is this kernel's own."""
    lines = [line for line in config.splitlines() if line.startswith("CONFIG_") and "BUILD_SALT" not in line]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
