"""How a real machine gets back to its own kernel though nobody is there any more.

Three things see to it, one after the other. The kernel's own ``panic=``, once it panics. A program in its
initramfs (``way_back.sh``), from there until we are connected: it needs no disk, no network and no init. And
then a program that waits for the end of what we send it now and then, whatever ends that: that is also how a
machine is sent back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.machines import cpio
from ccsight.machines.beat import SILENCE
from ccsight.machines.root import Root

_FIRST = Path(__file__).with_name("way_back.sh")
#: Where it lies in the initramfs, which runs it because of a file that initramfs-tools' init reads.
_PROGRAM, _READ = "ccsight-way-back", "conf/conf.d/ccsight"
#: Seconds after which a machine goes back though we are still there.
_LONGEST = 4 * 3600
#: Seconds that a shutdown may take; then there is none.
_SHUTDOWN = 120
#: The brackets keep it from finding itself: it has the same words in its own argv.
_HOLD = """
PATH=$PATH:/usr/sbin:/sbin
for each in $(grep -ls '/[c]csight-way-back' /proc/[0-9]*/cmdline); do
	each=${each%/cmdline}
	kill -9 "${each#/proc/}"
done
echo holding
trap '' HUP PIPE
exec >/dev/null 2>&1
timeout "$1" sh -c 'while [ -n "$(timeout "$0" head -c 1)" ]; do :; done' "$2"
sync
(trap '' TERM; sleep "$3"; echo b >/proc/sysrq-trigger) </dev/null &
systemctl --no-block reboot
"""


def head() -> bytes:
    """Return the archive that stands before an initramfs: it has ``way_back.sh`` run first of all."""
    return cpio.archive(
        [
            cpio.file(_PROGRAM, _FIRST.read_bytes(), 0o755),
            *(cpio.folder(name) for name in ("conf", "conf/conf.d")),
            cpio.file(_READ, f"/{_PROGRAM}\n".encode()),
        ]
    )


@contextmanager
def held(root: Root, deadline: Deadline) -> Iterator[None]:
    """Have the machine stay in a boot of ours while the context lasts; then it reboots, whatever ended it."""
    argv = ["sh", "-c", _HOLD, "sh", *map(str, (_LONGEST, SILENCE, _SHUTDOWN))]
    with root.host.hold(argv, deadline):
        yield
