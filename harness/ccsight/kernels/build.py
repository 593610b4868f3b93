"""From a kernel's source to a bootable Image: configure, prove, make, identify. It knows no spec.

Builds happen in a *lineage*: a folder of the cache whose worktree is moved from source to source, so that
make only builds what differs. Nothing in a build depends on time, user or place.
"""

import hashlib
import os
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import ToolMissing
from ccsight.evidence.model import BuildFacts, PatchFacts
from ccsight.kernels import (
    elsewhere,
    hardware,
    kconfig,
    lineage,
    objects,
    own_modules,
    reads,
    resolved,
    stored,
)
from ccsight.kernels.kconfig import Merged
from ccsight.kernels.objects import Source
from ccsight.kernels.toolchain import Toolchain
from ccsight.kernels.watch import MakeFailed, Watch
from ccsight.store import write_atomically
from ccsight.toolbox import elf
from ccsight.toolbox.tools import Report

LOG = "build.log"
#: Who takes what a make says: a file, and whoever reads along, line by line.
Output = tuple[BinaryIO, Callable[[str], None]]
#: Runs make in a source: what it is told, its environment, who listens, until when; its status.
Make = Callable[[Sequence[str], Mapping[str, str], Output, Deadline], int]
#: Raised when what is kept of a build changes: what an older ccsight stored is then built anew.
_RECIPE = "2"


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
    def variables(self) -> tuple[str, ...]:
        """What make is told each time; of two values for one name, the last one counts."""
        own = own_modules.variables(self.key) if self.config.base else ()
        return (*self.toolchain.make, *own)

    @property
    def lineage(self) -> str:
        """The name that the build folders for all orders of this configuration and toolchain share."""
        config = kconfig.text(self.config) + self.toolchain.identity
        return hashlib.sha256(config.encode()).hexdigest()[:12]


def build(order: Order, folder: Path, deadline: Deadline, report: Report) -> None:
    """Build a kernel into ``folder``: Image, config, build.log, reads, kernel.json, and our module if it can.

    On a machine's configuration, the kernel has modules of its own, too.

    Raises CompileError, KconfigDropped, NoSpace, ToolMissing or InfraError; the log of a build that
    failed stays in the lineage.
    """
    watch = Watch(order.title, report)
    with _shop(order, deadline, report) as (home, make):
        tree = lineage.worktree(home)
        files = objects.files(order.source, deadline)
        with (home / LOG).open("wb") as file:
            place = _Place(home, tree, file, watch, make)
            file.write(f"# again: ccsight build {shlex.quote(order.spec)}\n".encode())
            config = _configure(order, files, place, deadline)
            _make(order, _goals(order, config), place, deadline)
            if order.config.base:
                _make(order, own_modules.goals(home), place, deadline)
                own_modules.keep(home, folder)
            module = _module(order, config, place, deadline)
        _keep(order, tree, folder, config, module)
        if not order.toolchain.machine:  # what was read there is known there
            reads.note(folder, tree, files)
        shutil.copy2(home / LOG, folder / LOG)
    watch.say("built")


@contextmanager
def _shop(order: Order, deadline: Deadline, report: Report) -> Iterator[tuple[Path, Make]]:
    """Have a folder with the source in it, and a make that works there: on this system, or on a machine."""
    if order.toolchain.machine:
        with elsewhere.shop(order.toolchain.machine, order.key, order.source, deadline, report) as shop:
            yield shop.home, shop.make
        return
    with lineage.borrowed(order.lineage, order.source, deadline, report) as home:
        report(f"preparing {order.title}")
        tree = lineage.worktree(home)
        objects.move(tree, order.source, deadline)

        def make(words: Sequence[str], env: Mapping[str, str], output: Output, deadline: Deadline) -> int:
            argv = ["make", f"-j{os.cpu_count() or 1}", *words]
            log, on_line = output
            return process.follow(argv, deadline, log=log, on_line=on_line, cwd=tree, env=env)

        yield home, make


@dataclass(frozen=True)
class _Place:
    """Where a make runs - a worktree of a build folder - and who reads along."""

    folder: Path
    tree: Path
    log: BinaryIO
    watch: Watch
    make: Make


def _configure(order: Order, files: Mapping[str, str], place: _Place, deadline: Deadline) -> str:
    """Return the .config that the worktree now has, and that has every option that was asked for."""
    identity = resolved.identity(kconfig.text(order.config), files, makefiles=order.config.base is not None)
    path, known = place.tree / ".config", resolved.known(place.folder, identity, order.key)
    if known is None:
        _resolve(order, place, deadline)
    elif not path.exists() or path.read_text() != known:
        path.write_text(known)
    config = path.read_text()
    kconfig.prove(order.config, config, place.tree)
    resolved.keep(place.folder, identity, config)
    return config


def _resolve(order: Order, place: _Place, deadline: Deadline) -> None:
    """Have Kconfig make a .config: of nothing, or of a machine's, less the modules that it does not need."""
    base = order.config.base
    if base is None:
        _make(order, ["allnoconfig"], place, deadline)
        return
    if not order.toolchain.machine and not shutil.which("perl"):
        raise ToolMissing("perl is not on this system", next_step="apt-get install perl")
    shutil.copyfile(_wanted(order, place), place.tree / ".config")
    _make(order, ["olddefconfig"], place, deadline)
    _make(order, own_modules.trimming(place.folder, base.modules), place, deadline)


def _goals(order: Order, config: str) -> list[str]:
    return ["Image", *(["modules"] if order.config.base else hardware.preparation(config))]


def _wanted(order: Order, place: _Place) -> Path:
    """Write down what was asked for, for Kconfig, and return where."""
    path = place.folder / "wanted.config"
    salted = f'{kconfig.text(order.config)}CONFIG_BUILD_SALT="{order.key}"\n'
    write_atomically(path, salted.encode())
    return path


def _make(order: Order, goals: list[str], place: _Place, deadline: Deadline) -> None:
    wanted = _wanted(order, place)
    env = dict(order.toolchain.env) | {"KCONFIG_ALLCONFIG": str(wanted)}
    status = place.make([*order.variables, *goals], env, (place.log, place.watch.line), deadline)
    place.log.flush()
    if status:
        raise place.watch.failure(place.folder / LOG, order.toolchain.machine)


def _module(order: Order, config: str, place: _Place, deadline: Deadline) -> Path | None:
    """Build our module for the kernel in the worktree; None where that fails, and the log says why."""
    problem = "it loads no modules: CONFIG_MODULES is off"
    if hardware.loads_modules(config):
        where = hardware.put_sources(place.folder / "guests")
        try:
            goals = hardware.goals(where, place.tree, whole=order.config.base is not None)
            _make(order, goals, place, deadline)
        except MakeFailed as error:
            problem = error.fact
        else:
            return where / hardware.NAME
    place.log.write(f"# this kernel has no {hardware.NAME}: {problem}\n".encode())
    return None


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
    modules = own_modules.FOLDER if order.config.base else ""
    ours = hardware.NAME if module else ""
    stored.write_built(folder, elf.build_id(tree / "vmlinux"), facts, modules, ours)


def _config_sha256(config: str) -> str:
    """Hash a resolved .config without comments and without the salt, which is this kernel's own."""
    lines = [line for line in config.splitlines() if line.startswith("CONFIG_") and "BUILD_SALT" not in line]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
