"""EFI: the firmware boots the kernel itself, once, by BootNext. The kernel's EFI stub is the boot loader."""

from ccsight.deadline import Deadline
from ccsight.machines.equipment import Equipment
from ccsight.machines.methods.model import OURS, RESTART, Staged
from ccsight.machines.root import Root

#: The numbers of the firmware's entries of that name.
_FIND = """
numbers() {
	efibootmgr | sed -n "s/^Boot\\([0-9A-F]\\{4\\}\\)\\*\\{0,1\\} $1\\([[:space:]].*\\)\\{0,1\\}$/\\1/p"
}
"""
#: Both files go to where the firmware can read them. The entry has no place in BootOrder: it is booted when
#: BootNext says so, and never else.
_START = f"""{_FIND}
for esp in /boot/efi /efi /boot; do ! findmnt -n -t vfat "$esp" >/dev/null || break; done
device=$(findmnt -nro SOURCE "$esp")
disk=/dev/$(lsblk -nro PKNAME "$device")
part=$(cat "/sys/class/block/${{device##*/}}/partition")
mkdir -p "$esp/EFI/$1"
cp "$2" "$esp/EFI/$1/Image"
cp "$3" "$esp/EFI/$1/initrd.img"
sync
words="initrd=\\\\EFI\\\\$1\\\\initrd.img $4"
efibootmgr -q -C -d "$disk" -p "$part" -L "$1" -l "\\\\EFI\\\\$1\\\\Image" -u "$words"
next=$(numbers "$1")
efibootmgr -q -n "$next"
efibootmgr | grep -qx "BootNext: $next"
{RESTART}"""
_CLEAN = f"""{_FIND}
for each in $(numbers "$1"); do
	if efibootmgr | grep -qx "BootNext: $each"; then efibootmgr -q -N; fi
	efibootmgr -q -b "$each" -B
done
for esp in /boot/efi /efi /boot; do rm -rf "$esp/EFI/$1"; done
sync
"""


class Efi:
    """``boot = "efi"``: see efibootmgr(8)."""

    name = "efi"

    def refuses(self, found: Equipment) -> str:
        """See :class:`ccsight.machines.methods.model.Method`."""
        if not found.one("efi"):
            return "its firmware has no EFI variables that a system can write"
        if not found.one("efibootmgr"):
            return "it has no efibootmgr(8): apt-get install efibootmgr"
        if not found.one("esp"):
            return "its EFI system partition is not mounted on /boot/efi, /efi or /boot"
        return found.locked_down

    def start(self, root: Root, staged: Staged, deadline: Deadline) -> None:
        """See :class:`ccsight.machines.methods.model.Method`."""
        words = (OURS, staged.image, staged.initrd, staged.told)
        root.run("booting by the firmware", _START, *words, deadline=deadline)

    def clean(self, root: Root, deadline: Deadline) -> None:
        """See :class:`ccsight.machines.methods.model.Method`."""
        root.run("taking our entry out of the firmware", _CLEAN, OURS, deadline=deadline)
