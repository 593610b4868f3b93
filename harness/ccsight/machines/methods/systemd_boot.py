"""systemd-boot: an entry of ours beside the others, chosen for one boot with bootctl(1)."""

from ccsight.deadline import Deadline
from ccsight.machines.equipment import Equipment
from ccsight.machines.methods.model import OURS, RESTART, Staged
from ccsight.machines.root import Root

_START = f"""
esp=$(bootctl --print-boot-path)
mkdir -p "$esp/$1" "$esp/loader/entries"
cp "$2" "$esp/$1/Image"
cp "$3" "$esp/$1/initrd.img"
printf 'title %s\\nlinux /%s/Image\\ninitrd /%s/initrd.img\\noptions %s\\n' "$1" "$1" "$1" "$4" \\
	>"$esp/loader/entries/$1.conf"
sync
bootctl set-oneshot "$1.conf"
{RESTART}"""
_CLEAN = """
esp=$(bootctl --print-boot-path)
[ -e "$esp/loader/entries/$1.conf" ] || [ -e "$esp/$1" ] || exit 0
bootctl set-oneshot ""
rm -rf "$esp/$1" "$esp/loader/entries/$1.conf"
sync
"""


class SystemdBoot:
    """``boot = "systemd-boot"``."""

    name = "systemd-boot"

    def refuses(self, found: Equipment) -> str:
        """See :class:`ccsight.machines.methods.model.Method`."""
        if not found.one("efi"):
            return "its firmware has no EFI variables that a system can write"
        if not found.one("loader").startswith("systemd-boot"):
            return f"it was not started by systemd-boot but by {found.one('loader') or 'something else'}"
        if not found.one("bootctl"):
            return "it has no bootctl(1)"
        return found.locked_down

    def start(self, root: Root, staged: Staged, deadline: Deadline) -> None:
        """See :class:`ccsight.machines.methods.model.Method`."""
        words = (OURS, staged.image, staged.initrd, staged.told)
        root.run("booting by systemd-boot", _START, *words, deadline=deadline)

    def clean(self, root: Root, deadline: Deadline) -> None:
        """See :class:`ccsight.machines.methods.model.Method`."""
        root.run("taking our entry out of systemd-boot", _CLEAN, OURS, deadline=deadline)
