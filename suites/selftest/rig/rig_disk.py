"""The rig's disk, made once and kept in the cache: packages, unpacked here, set up in an emulated machine.

Nothing here runs as root, nor does a program of the disk's run on this system.
"""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import rig_files
import rig_packages
import rig_qemu

from ccsight import process, store
from ccsight.deadline import Deadline
from ccsight.errors import InfraError
from ccsight.machines import cpio, modules
from ccsight.toolbox import packages
from ccsight.toolbox.qemu import qemu
from ccsight.toolbox.tools import Report
from ccsight.toolbox.userland import userland

#: What the kernel of the disk needs to find the disk, and the firmware's variables.
_DRIVERS = (
    "crc32c_generic",
    "virtio_pci",
    "virtio_blk",
    "ext4",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "efivarfs",
)
_HERE = Path(__file__).parent
_SCRIPTS = ("rig_unpack.sh", "rig_init.sh", "rig_first_boot.sh")
_SOURCES = (*_SCRIPTS, "rig_disk.py", "rig_files.py")
_MADE = b"rig: made"


@dataclass(frozen=True)
class Disk:
    """The folder in the cache. All is read only: a machine writes to copies."""

    folder: Path

    @property
    def image(self) -> Path:
        """The disk, raw and sparse."""
        return self.folder / "disk.img"

    @property
    def firmware(self) -> Path:
        """The flash with UEFI."""
        return self.folder / "firmware.fd"

    @property
    def u_boot(self) -> Path:
        """The flash with U-Boot."""
        return self.folder / "u-boot.fd"

    @property
    def variables(self) -> Path:
        """The flash with UEFI's variables, as the installation left them."""
        return self.folder / "variables.fd"

    @property
    def key(self) -> Path:
        """The private key that may log in."""
        return self.folder / "key"

    @property
    def host_key(self) -> str:
        """The machine's public key, as an inventory pins it."""
        return " ".join((self.folder / "host_key.pub").read_text().split()[:2])


def disk(deadline: Deadline, report: Report) -> Disk:
    """Return the disk, made if it is not in the cache; it stays as it was made first."""
    digest = hashlib.sha256(repr(rig_packages.NAMES).encode())
    for name in _SOURCES:
        digest.update((_HERE / name).read_bytes())
    return Disk(
        store.entry("rig", digest.hexdigest()[:32], lambda draft: _fill(draft, deadline, report), deadline)
    )


def _fill(folder: Path, deadline: Deadline, report: Report) -> None:
    made = Disk(folder)
    work = folder / "work"
    work.mkdir()
    fetched = rig_packages.fetch(deadline, report)
    public = rig_files.keygen(made.key, "the rig's user")
    rig_files.keygen(folder / "host_key", "the rig")
    rig_files.write(work / "root.files", folder / "host_key", public)
    shutil.copy2(_HERE / "rig_first_boot.sh", work / "root.files")
    report("unpack")
    argv = ["fakeroot", "sh", str(_HERE / "rig_unpack.sh"), str(work / "root"), str(made.image)]
    process.run([*argv, *map(str, fetched.system)], deadline)
    (work / "firmware").mkdir()
    for name, place, flash in (
        (rig_packages.UEFI, "usr/share/qemu-efi-aarch64/QEMU_EFI.fd", made.firmware),
        (rig_packages.U_BOOT, "usr/lib/u-boot/qemu_arm64/u-boot.bin", made.u_boot),
    ):
        packages.unpack(fetched.firmware(name), work / "firmware", deadline)
        rig_qemu.flash(flash, (work / "firmware" / place).read_bytes())
    rig_qemu.flash(made.variables)
    report("set up")
    _set_up(made, work, deadline, report)
    shutil.rmtree(work)
    for path in (made.image, made.firmware, made.u_boot, made.variables):
        path.chmod(0o444)


def _set_up(made: Disk, work: Path, deadline: Deadline, report: Report) -> None:
    """Boot the kernel of the disk with an initramfs that lets the packages finish their installation."""
    kernel = next((work / "root.boot").glob("vmlinuz-*"))
    initrd = work / "initrd"
    initrd.write_bytes(cpio.archive(_initramfs(work / "root", userland(deadline, report))))
    console = made.folder / "console.log"
    drive = f"format=raw,file={made.image}"
    argv = [
        *rig_qemu.command(
            qemu(deadline, report), rig_qemu.Parts(made.firmware, made.variables, drive, console)
        ),
        *("-kernel", str(kernel), "-initrd", str(initrd), "-append", "console=ttyAMA0 quiet", "-no-reboot"),
    ]
    process.run(argv, deadline)
    said = console.read_bytes()
    if _MADE not in said:
        kept = made.folder.with_name("failed-console.log")
        shutil.copy2(console, kept)
        raise InfraError(
            "the rig's disk was not set up", evidence=said[-600:].decode(), next_step=f"read {kept}"
        )


def _initramfs(root: Path, programs: Path) -> Sequence[cpio.Entry]:
    needed = modules.load_order(root / "usr/lib/modules", _DRIVERS)
    return [
        *(cpio.folder(name) for name in ("bin", "dev", "modules")),
        cpio.node("dev/console", 5, 1),
        cpio.file("init", (_HERE / "rig_init.sh").read_bytes(), 0o755),
        cpio.file("bin/busybox", (programs / "bin/busybox").read_bytes(), 0o755),
        *(cpio.file(f"modules/{name}.ko", content) for name, content in needed),
        cpio.file("modules/order", "".join(f"{name}.ko\n" for name, _ in needed).encode()),
    ]
