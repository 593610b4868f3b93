"""A kernel laid out on a real machine, beside its own: Image, modules and an initramfs made there."""

import hashlib
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import InfraError, UsageError
from ccsight.kernels.model import Kernel
from ccsight.machines import way_back
from ccsight.machines.equipment import Equipment
from ccsight.machines.methods.model import OURS, Staged
from ccsight.machines.root import Root
from ccsight.scratch import Scratch

_SCRIPT = Path(__file__).with_name("staging.sh")
_FOLDER = f"/boot/{OURS}"
#: Bytes that an initramfs takes at the most, with those drivers that most machines need.
_INITRD = 120 << 20
#: What the running kernel was told by its boot loader, and is of that boot alone.
_OF_A_BOOT = ("BOOT_IMAGE=", "initrd=", "ccsight.", "panic=", "systemd.watchdog_sec=")
#: A kernel that panics reboots after so many seconds; its console has been read by then.
_PANIC = "panic=10"
#: Where there is a watchdog, systemd feeds it from its start: a kernel that hangs later is reset by it.
_WATCHDOG = "systemd.watchdog_sec=60"
#: What no boot loader's file can hold, however it is quoted.
_UNQUOTABLE = set("'\"\\$`\n")
_MIB = 1 << 20


def token(mark: str) -> str:
    """Return the word of the command line that proves a boot to be ours."""
    return f"{OURS}.boot={mark}"


def command_line(found: Equipment, mark: str, patience: float, more: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what a kernel is told: what proves the boot, what the machine's own one is, and what ends it.

    The proof comes first: a log shows no more than so much of a command line.

    Raises UsageError for a word that a boot loader's file cannot hold.
    """
    own = [word for word in found.one("command-line").split() if not word.startswith(_OF_A_BOOT)]
    guards = [_PANIC, f"{OURS}.patience={patience:.0f}"]
    guards += [_WATCHDOG] if found.one("watchdog-file") else []
    words = (token(mark), *own, *guards, *more)
    if wrong := next((word for word in words if _UNQUOTABLE & set(word)), ""):
        raise UsageError(
            f"the kernel's command line cannot be handed to a boot loader: {wrong}",
            next_step="leave quotes, backslashes and $ out of append=, and of the machine's own command line",
        )
    return words


def kernel(given: Kernel, root: Root, found: Equipment, words: tuple[str, ...], deadline: Deadline) -> Staged:
    """Lay a kernel out on a machine. It stays there until :func:`clean`: a boot ends our connection.

    Raises InfraError where there is no room, RootFailed where the machine cannot make an initramfs of it.
    """
    modules = _modules(root, given, deadline)
    _prove_room(root.name, given, found, sent=modules == "sent")
    with _received(root, deadline) as there, Scratch() as here:
        root.host.push(given.image, f"{there}/Image", deadline, mode=0o644)
        if given.modules and modules == "sent":
            packed = _packed(given.modules, Path(here))
            root.host.push(packed, f"{there}/modules.tar", deadline, mode=0o644)
        _run(root, "kernel", given.release, there, modules, deadline=deadline)
    return Staged(_FOLDER, words)


def own(root: Root, found: Equipment, words: tuple[str, ...], deadline: Deadline) -> Staged:
    """Lay out the kernel that the machine runs, once more. Raises RootFailed."""
    with _received(root, deadline) as there:
        _run(root, "own", found.one("release"), there, deadline=deadline)
    return Staged(_FOLDER, words)


def clean(root: Root, deadline: Deadline) -> None:
    """Take away what was laid out for any boot. Raises RootFailed."""
    _run(root, "clean", deadline=deadline)


def _run(root: Root, command: str, *words: str, deadline: Deadline) -> str:
    what = "taking our kernel away" if command == "clean" else "laying the kernel out"
    return root.run(what, _SCRIPT.read_text(encoding="utf-8"), command, *words, deadline=deadline)


@contextmanager
def _received(root: Root, deadline: Deadline) -> Iterator[str]:
    """Have a folder there with the head, beside where all will lie, so that no file is written twice."""
    there = root.run("making a folder", 'mktemp -d "$1"', f"{_FOLDER}-XXXXXXXX", deadline=deadline).strip()
    try:
        with Scratch() as here:
            head = Path(here) / "head"
            head.write_bytes(way_back.head())
            root.host.push(head, f"{there}/head", deadline, mode=0o644)
        yield there
    finally:
        root.host.run(["rm", "-rf", there], deadline)


def _modules(root: Root, given: Kernel, deadline: Deadline) -> str:
    """Return whether a kernel's modules have to be "sent", or there are "none", or these very are "there"."""
    if given.modules is None:
        return "none"
    order = given.modules / "modules.order"
    said = _run(root, "modules", given.release, deadline=deadline).split()
    same = said and order.exists() and said[0] == hashlib.sha256(order.read_bytes()).hexdigest()
    return "there" if same else "sent"


def _prove_room(name: str, given: Kernel, found: Equipment, *, sent: bool) -> None:
    """Raise InfraError where there is none; modules that are ``sent`` lie in /boot at first."""
    needed = {"boot": given.image.stat().st_size + _INITRD}
    if given.modules and sent:
        size = sum(path.stat().st_size for path in given.modules.rglob("*.ko*"))
        needed = {"boot": needed["boot"] + size, "modules": 2 * size}
    for place, size in needed.items():
        free = found.free(place) or 0
        if free < size:
            where = {"boot": "/boot", "modules": "/lib/modules"}[place]
            raise InfraError(
                f"{name} has no room for {given.spec.text} in {where}",
                evidence=f"{free // _MIB} MiB are free, {size // _MIB} MiB are needed",
                next_step="free some there; nothing was written to it",
            )


def _packed(modules: Path, folder: Path) -> Path:
    """Pack modules as they lie in ``lib/modules/RELEASE``, without what is not of modules: device trees."""
    packed = folder / "modules.tar"
    with tarfile.open(packed, "w") as archive:
        for path in sorted(modules.glob("modules.*")):
            archive.add(path, path.name)
        archive.add(modules / "kernel", "kernel")
    return packed
