"""GRUB: an entry of ours beside the others, chosen for one boot with grub-reboot(8).

GRUB forgets the choice before it boots the entry, which it can only where it can write its environment
block: on LVM, RAID or btrfs it cannot, and would boot our kernel for ever.
"""

from ccsight.deadline import Deadline
from ccsight.machines.equipment import Equipment
from ccsight.machines.methods.model import OURS, RESTART, Staged
from ccsight.machines.root import Root

#: Entries of the user's own, which grub.cfg sources where it is there. Ours stands between two lines.
_FILE = "/boot/grub/custom.cfg"
_CLEAN = """
env=/boot/grub/grubenv
if [ -e $env ] && grub-editenv $env list | grep -qx "next_entry=$1"; then
	grub-editenv $env unset next_entry
fi
grep -qsx "# $1 {" "$2" || exit 0
sed "/^# $1 {\\$/,/^# $1 }\\$/d" "$2" >"$2.$1"
if [ -s "$2.$1" ]; then chmod --reference="$2" "$2.$1" && mv "$2.$1" "$2"; else rm -f "$2" "$2.$1"; fi
sync
"""
_START = f"""
image=$(grub-mkrelpath "$3") initrd=$(grub-mkrelpath "$4") uuid=$(grub-probe --target=fs_uuid "$3")
cat >>"$2" <<END
# $1 {{
menuentry '$1' --id '$1' {{
	search --no-floppy --fs-uuid --set=root $uuid
	linux $image $5
	initrd $initrd
}}
# $1 }}
END
grub-reboot "$1"
sync
grub-editenv /boot/grub/grubenv list | grep -qx "next_entry=$1"
{RESTART}"""


class Grub:
    """``boot = "grub"``."""

    name = "grub"

    def refuses(self, found: Equipment) -> str:
        """See :class:`ccsight.machines.methods.model.Method`."""
        if not found.one("grub") or not found.one("grub-reboot"):
            return "it has no /boot/grub/grub.cfg, or no grub-reboot(8)"
        if not found.one("grub-one-shot"):
            return "its grub.cfg knows no one-shot entry: update-grub makes one that does"
        if not found.one("grub-custom"):
            return "its grub.cfg does not read custom.cfg: /etc/grub.d/41_custom is missing"
        if found.grub_keeps:
            return f"{found.grub_keeps}, which GRUB cannot write: it would boot our entry for ever"
        return found.locked_down

    def start(self, root: Root, staged: Staged, deadline: Deadline) -> None:
        """See :class:`ccsight.machines.methods.model.Method`."""
        words = (OURS, _FILE, staged.image, staged.initrd, _quoted(staged.command_line))
        root.run("booting by GRUB", _START, *words, deadline=deadline)

    def clean(self, root: Root, deadline: Deadline) -> None:
        """See :class:`ccsight.machines.methods.model.Method`."""
        root.run("taking our entry out of GRUB", _CLEAN, OURS, _FILE, deadline=deadline)


def _quoted(words: tuple[str, ...]) -> str:
    """Return words as GRUB's script takes them: nothing is special between these quotes."""
    return " ".join(f"'{word}'" for word in words)
