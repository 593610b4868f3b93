"""kexec: the running kernel starts the other one itself. No boot loader is involved, so none can be stuck."""

from ccsight.deadline import Deadline
from ccsight.machines.equipment import Equipment
from ccsight.machines.methods.model import Staged
from ccsight.machines.root import Root

#: systemd stops what runs, and then starts the kernel that was loaded.
_START = """
kexec -l "$1" --initrd="$2" --command-line="$3"
systemctl --no-block kexec
"""
_CLEAN = "! grep -qs 1 /sys/kernel/kexec_loaded || kexec -u"


class Kexec:
    """``boot = "kexec"``: see kexec(8)."""

    name = "kexec"

    def refuses(self, found: Equipment) -> str:
        """See :class:`ccsight.machines.methods.model.Method`."""
        return found.no_kexec or found.locked_down

    def start(self, root: Root, staged: Staged, deadline: Deadline) -> None:
        """See :class:`ccsight.machines.methods.model.Method`."""
        words = (staged.image, staged.initrd, staged.told)
        root.run("booting by kexec", _START, *words, deadline=deadline)

    def clean(self, root: Root, deadline: Deadline) -> None:
        """See :class:`ccsight.machines.methods.model.Method`."""
        root.run("kexec -u", _CLEAN, deadline=deadline)
