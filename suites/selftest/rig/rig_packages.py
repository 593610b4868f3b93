"""What the rig's Debian is made of: packages by name, as apt resolves and proves them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.toolbox import apt, packages
from ccsight.toolbox.packages import Remote
from ccsight.toolbox.tools import Report

#: What every Debian has: all that is marked Essential, and what their scripts take for granted.
_ESSENTIAL = (
    "base-files", "base-passwd", "bash", "bsdutils", "coreutils", "dash", "debianutils", "diffutils", "dpkg",
    "findutils", "grep", "gzip", "hostname", "init-system-helpers", "libc-bin", "login", "mawk", "mount",
    "ncurses-base", "ncurses-bin", "passwd", "perl-base", "procps", "sed", "sysvinit-utils", "tar",
    "util-linux",
)  # fmt: skip
#: What a server has, and what the boot methods work with. busybox is for its initramfs.
_SERVER = (
    "busybox", "dbus", "dosfstools", "e2fsprogs", "efibootmgr", "grub-efi-arm64", "initramfs-tools",
    "iproute2", "kexec-tools", "kmod", "libubootenv-tool", "linux-image-arm64", "lz4", "openssh-server",
    "openssh-sftp-server", "sudo", "systemd", "systemd-boot-efi", "systemd-boot-tools", "systemd-sysv",
    "udev",
)  # fmt: skip
#: Not for the disk: firmware, which QEMU reads.
UEFI, U_BOOT = "qemu-efi-aarch64", "u-boot-qemu"
NAMES = (*_ESSENTIAL, *_SERVER, UEFI, U_BOOT)
_SUITE = "stable"


@dataclass(frozen=True)
class Fetched:
    """Packages as files, each beside what the archive says of it."""

    remotes: Sequence[Remote]
    files: Sequence[Path]

    def firmware(self, name: str) -> Path:
        """Return the package with a firmware."""
        return next(file for remote, file in self._pairs() if remote.package == name)

    @property
    def system(self) -> list[Path]:
        """The packages for the disk; base-files first: it has the links that others unpack through."""
        pairs = sorted(self._pairs(), key=lambda pair: (pair[0].package != "base-files", pair[0].package))
        return [file for remote, file in pairs if remote.package not in (UEFI, U_BOOT)]

    def _pairs(self) -> list[tuple[Remote, Path]]:
        return list(zip(self.remotes, self.files, strict=True))


def fetch(deadline: Deadline, report: Report) -> Fetched:
    """Return the packages and all that they depend on, downloaded. Raises ArchiveError."""
    suites = apt.available(deadline, report).only(_SUITE)
    view = apt.update(suites, "arm64", deadline, report)
    remotes = apt.closure(view, NAMES, suites.all[0], deadline)
    return Fetched(remotes, packages.fetch(remotes, view.config, deadline, report))
