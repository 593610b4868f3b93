"""The root filesystem of an emulated host, in layers: the base, a kernel's modules, one boot's keys.

The first two are made once and kept in the cache; a boot writes only the keys and joins the three.
"""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from ccsight import store
from ccsight.deadline import Deadline
from ccsight.kernels.model import Kernel
from ccsight.machines import cpio, modules
from ccsight.machines.keys import BootKeys

#: What an emulated host's network needs; the rest follows from the modules' own dependencies.
_WANTED = ("virtio_pci", "virtio_net")

_LAYER = "layer.cpio"
#: Where the kernel's own Image lies in the machine, if it is put there.
IMAGE = "/boot/Image"
_SOURCES = tuple(
    Path(__file__).with_name(name) for name in ("init.sh", "initramfs.py", "cpio.py", "modules.py")
)

_FOLDERS = ("bin", "dev", "etc", "etc/dropbear", "lib", "modules", "proc", "root", "run", "sys", "tmp", "var")

#: busybox's programs that have a name of their own in PATH: making these links in the machine takes 40 ms.
_APPLETS = (
    "[", "awk", "basename", "cat", "chmod", "chown", "chroot", "cmp", "cp", "cut", "date", "dd",
    "df", "dirname", "dmesg", "du", "echo", "env", "expr", "false", "find", "free", "getopt", "grep",
    "gunzip", "gzip", "head", "hexdump", "hostname", "id", "ifconfig", "insmod", "ip", "kill",
    "killall", "ln", "ls", "lsmod", "md5sum", "mkdir", "mkfifo", "mknod", "mktemp", "mount", "mv", "nc",
    "nproc", "od", "pidof", "poweroff", "printf", "ps", "pwd", "readlink",
    "realpath", "reboot", "rm", "rmdir", "rmmod", "sed", "seq", "sh", "sha256sum", "sleep", "sort",
    "stat", "stty", "sync", "sysctl", "tail", "tar", "taskset", "tee", "test", "timeout", "top",
    "touch", "tr", "true", "tty", "umount", "uname", "uniq", "uptime", "vi", "wc", "which", "xargs",
    "xxd", "yes", "zcat",
)  # fmt: skip


def layers(userland: Path, kernel: Kernel, deadline: Deadline) -> list[Path]:
    """Return the archives that every boot of a kernel shares, made if they are not in the cache."""
    made = [_base(userland, deadline)]
    if kernel.modules is not None:
        made.append(_modules(kernel, kernel.modules, deadline))
    return made


def layer(folder: Path, place: str, deadline: Deadline) -> Path:
    """Return an archive of a folder's files that lie below ``place``, ``opt/NAME``, in the machine."""
    key = _key(*_SOURCES, *sorted(folder.rglob("*")), salt=place)

    def fill(draft: Path) -> None:
        (draft / _LAYER).write_bytes(cpio.archive(_placed_entries(folder, place)))

    return store.entry("initramfs", key, fill, deadline) / _LAYER


def write(out: BinaryIO, shared: list[Path], keys: BootKeys, image: Path | None = None) -> None:
    """Write the initramfs of one boot, with ``image`` in it where that is given."""
    for layer in shared:
        out.write(layer.read_bytes())
    entries = _boot_entries(keys)
    if image:
        entries += [cpio.folder("boot"), cpio.file(IMAGE.lstrip("/"), image.read_bytes())]
    out.write(cpio.archive(entries))


def _base(userland: Path, deadline: Deadline) -> Path:
    """Return the layer with all programs and /init. ``userland`` is laid out as in the machine."""
    key = _key(*_SOURCES, *sorted(userland.rglob("*")))

    def fill(draft: Path) -> None:
        (draft / _LAYER).write_bytes(cpio.archive(_base_entries(userland)))

    return store.entry("initramfs", key, fill, deadline) / _LAYER


def _modules(kernel: Kernel, folder: Path, deadline: Deadline) -> Path:
    """Return the layer with the drivers, and the list of them in load order."""
    # modules_install writes modules.order anew each time, so it tells one set of modules from the next
    key = _key(*_SOURCES, folder, folder / "modules.order", salt=kernel.image_sha256)

    def fill(draft: Path) -> None:
        (draft / _LAYER).write_bytes(cpio.archive(_module_entries(folder)))

    return store.entry("initramfs", key, fill, deadline) / _LAYER


def _base_entries(userland: Path) -> list[cpio.Entry]:
    programs = cpio.tree(userland)
    known = {entry.name for entry in programs}
    return [
        *(cpio.folder(name) for name in _FOLDERS if name not in known),
        cpio.node("dev/console", 5, 1),
        *programs,
        *(cpio.link(f"bin/{name}", "busybox") for name in _APPLETS),
        cpio.file("init", Path(__file__).with_name("init.sh").read_bytes(), 0o755),
        cpio.file("modules/order", b""),
        cpio.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n"),
        cpio.file("etc/group", b"root:x:0:\n"),
        cpio.file("etc/shells", b"/bin/sh\n"),
    ]


def _module_entries(folder: Path) -> list[cpio.Entry]:
    needed = modules.load_order(folder, _WANTED)
    order = "".join(f"{name}.ko\n" for name, _ in needed)
    files = [cpio.file(f"modules/{name}.ko", content) for name, content in needed]
    return [*files, cpio.file("modules/order", order.encode())]


def _placed_entries(folder: Path, place: str) -> list[cpio.Entry]:
    parts = place.split("/")
    parents = [cpio.folder("/".join(parts[:count])) for count in range(1, len(parts) + 1)]
    return [*parents, *(replace(entry, name=f"{place}/{entry.name}") for entry in cpio.tree(folder))]


def _boot_entries(keys: BootKeys) -> list[cpio.Entry]:
    return [
        cpio.file("etc/dropbear/hostkey", keys.host_private, 0o600),
        cpio.folder("root/.ssh", 0o700),
        cpio.file("root/.ssh/authorized_keys", f"{keys.client_public}\n".encode(), 0o600),
    ]


def _key(*files: Path, salt: str = "") -> str:
    """Return a name for what files hold, told by their names, sizes and times."""
    digest = hashlib.sha256(salt.encode())
    for path in files:
        if path.exists():
            facts = path.stat()
            digest.update(f"{path}\0{facts.st_size}\0{facts.st_mtime_ns}\0{facts.st_mode}\n".encode())
    return digest.hexdigest()[:32]
