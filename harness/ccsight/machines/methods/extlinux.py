"""U-Boot: the boards that have no EFI variables, and boot what ``extlinux.conf`` says.

That file knows no entry for one boot, but U-Boot's environment is for Linux to write as well: fw_setenv(8).
``extlinux.sh`` has its ``bootcmd`` boot our kernel where a flag is there, once U-Boot has saved that it is
not: a kernel that dies at its first instruction is followed by the machine's own. What loads our kernel is
``load`` and ``booti``, which every U-Boot for arm64 has: ``sysboot`` is not in those with the standard boot.
"""

import re
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.machines.equipment import Equipment
from ccsight.machines.methods.model import RESTART, Staged
from ccsight.machines.root import Root

_SCRIPT = Path(__file__).with_suffix(".sh")
#: A partition as Linux calls it, and file systems, that U-Boot finds and reads.
_DISK = re.compile(r"(?:mmcblk\d+p|nvme\d+n\d+p|vd[a-z]|sd[a-z])\d+")
_READS = ("ext2", "ext3", "ext4", "vfat")


class Extlinux:
    """``boot = "extlinux"``."""

    name = "extlinux"

    def refuses(self, found: Equipment) -> str:
        """See :class:`ccsight.machines.methods.model.Method`."""
        return _no_label(found) or _no_environment(found) or _no_place(found) or found.locked_down

    def start(self, root: Root, staged: Staged, deadline: Deadline) -> None:
        """See :class:`ccsight.machines.methods.model.Method`."""
        mark = staged.command_line[0].rpartition("=")[2]
        words = ("arm", staged.folder, mark, staged.told)
        root.run("booting by U-Boot", f"{_script()}{RESTART}", *words, deadline=deadline)

    def clean(self, root: Root, deadline: Deadline) -> None:
        """See :class:`ccsight.machines.methods.model.Method`."""
        root.run("taking ours out of U-Boot's environment", _script(), "clean", deadline=deadline)


def _script() -> str:
    return _SCRIPT.read_text(encoding="utf-8")


def _no_label(found: Equipment) -> str:
    """Return why it is not known how U-Boot boots it now."""
    if not found.one("extlinux"):
        return "it has no /boot/extlinux/extlinux.conf"
    if found.one("extlinux-overlays"):
        return "its extlinux.conf has overlays for the device tree, which our kernel would be without"
    return ""


def _no_environment(found: Equipment) -> str:
    """Return why U-Boot's environment cannot be made to say what the next boot is of."""
    if not found.one("fw-setenv"):
        return "it has no fw_printenv(8) and fw_setenv(8): apt-get install libubootenv-tool"
    if not found.one("fw-config"):
        return "it has no /etc/fw_env.config, which says where U-Boot's environment is"
    if said := found.one("fw-error"):
        return f"U-Boot's environment cannot be read ({said}): saveenv, at its prompt, makes one"
    if not found.one("fw-bootcmd"):
        return "U-Boot's environment has no bootcmd"
    if found.one("fw-counts"):
        return "U-Boot counts boots there (bootlimit): ours could have it choose another system"
    if place := found.one("fw-closed"):
        return f"U-Boot's environment cannot be written: {place}"
    return ""


def _no_place(found: Equipment) -> str:
    """Return why U-Boot would not find what lies in /boot."""
    name, kind, top = [*found.one("boot-place").split(), "", "", ""][:3]
    if not _DISK.fullmatch(name):
        return f"/boot lies on {name or 'something unknown'}, where U-Boot is not known to find it"
    if kind not in _READS:
        return f"/boot is of the kind {kind or 'unknown'}, which U-Boot is not known to read"
    return "" if top == "/" else f"/boot is a part of what lies on {name}: it lies below {top} there"
