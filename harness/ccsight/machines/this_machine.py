"""``local``: the arm64 machine that ccsight runs on, with the kernel that it runs. Nothing is booted."""

import errno
import grp
import os
import platform
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import NoKvm, UsageError, reason
from ccsight.machines.local import LocalHost
from ccsight.machines.model import Booted, BootOrder, Report
from ccsight.specs import Spec
from ccsight.store import write_atomically

LOCAL = "local"

_NATIVE = ("aarch64", "arm64")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
#: A record of /dev/kmsg, see the kernel's Documentation/ABI/testing/dev-kmsg: level, number, microseconds.
_RECORD = re.compile(rb"\d+,(\d+),(\d+),[^;]*;([^\n]*)")
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")
_RECORD_MAX = 16384


def known(kvm: Path = Path("/dev/kvm")) -> list[str]:
    """Return the specs of all machines of this kind: this one, where it is one."""
    return [LOCAL] if platform.machine() in _NATIVE and kvm.exists() else []


class ThisMachine:
    """This machine, by spec. It runs what it runs; ``kvm`` and ``log`` are its device files."""

    def __init__(self, spec: Spec, *, kvm: Path = Path("/dev/kvm"), log: Path = Path("/dev/kmsg")) -> None:
        self._spec = spec
        self._kvm = kvm
        self._log = log

    @property
    def spec(self) -> str:
        """The spec that names this machine everywhere."""
        return self._spec.text

    @property
    def seconds(self) -> float:
        """See :class:`ccsight.machines.model.Machine`: nothing is booted."""
        return 0.0

    def prove_may_boot(self, deadline: Deadline) -> None:
        """See :class:`ccsight.machines.model.Machine`: it is never booted."""

    def prepare(self, deadline: Deadline, report: Report) -> None:
        """See :class:`ccsight.machines.model.Machine`. Raises NoKvm where /dev/kvm cannot be opened."""
        if platform.machine() not in _NATIVE:
            raise UsageError(
                "local is this machine, and this is not an arm64 machine",
                evidence=f"it is {platform.machine()}",
                next_step="--on emulated:neoverse-n1 (any machine will do), or run ccsight on an arm64 one",
            )
        try:
            os.close(os.open(self._kvm, os.O_RDWR | os.O_CLOEXEC))
        except OSError as error:
            raise NoKvm(
                f"this machine's KVM cannot be used: {self._kvm} does not open",
                evidence=reason(error),
                next_step=self._advice(error.errno),
            ) from error

    def _advice(self, problem: int | None) -> str:
        if problem not in (errno.EACCES, errno.EPERM):
            return "KVM needs CONFIG_KVM, and a kernel that was entered at EL2: dmesg | grep -i kvm"
        about = self._kvm.stat()
        names = [entry.gr_name for entry in grp.getgrall() if entry.gr_gid == about.st_gid]
        if names not in ([], ["root"]) and about.st_mode & stat.S_IWGRP:
            return (
                f"add yourself to group {names[0]}, and log in again: usermod -aG {names[0]} $USER, as root"
            )
        return f"as root: chgrp kvm {self._kvm} && chmod 660 {self._kvm}, and add yourself to group kvm"

    @contextmanager
    def boot(self, order: BootOrder, deadline: Deadline, report: Report) -> Iterator[Booted]:
        """See :class:`ccsight.machines.model.Machine`: nothing is started, and nothing is ended.

        The boot-id that is read here is what the probe must find, too. The kernel's log is the console.
        """
        self.prepare(deadline, report)
        token = _BOOT_ID.read_text().strip()
        kernel = order.kernel
        image = str(kernel.image) if order.guest_image and kernel.image.is_file() else ""
        try:
            yield Booted(LocalHost(), token, os.sysconf("SC_NPROCESSORS_ONLN"), here=True, image=image)
        finally:
            _keep_log(self._log, order.console)


def _keep_log(log: Path, console: Path) -> None:
    """Write the kernel's log down as a console shows it, where it is readable and has its beginning.

    Half a log would look like a whole one in which nothing went wrong.
    """
    try:
        records = [record for raw in read_log(log) if (record := _RECORD.match(raw))]
    except OSError:
        return
    if records and int(records[0][1]) == 0:
        write_atomically(console, b"".join(map(_line, records)))


def read_log(log: Path) -> Iterator[bytes]:
    """Yield each record that the log has now: a read returns one of them."""
    descriptor = os.open(log, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        while raw := os.read(descriptor, _RECORD_MAX):
            yield raw
    except BlockingIOError:
        return  # that was the last one
    finally:
        os.close(descriptor)


def _line(record: re.Match[bytes]) -> bytes:
    text = _ESCAPED.sub(lambda escaped: bytes.fromhex(escaped[1].decode()), record[3])
    return b"[%5d.%06d] %s\n" % (*divmod(int(record[2]), 1_000_000), text)
