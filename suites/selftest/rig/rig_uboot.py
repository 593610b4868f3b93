"""The rig with U-Boot in place of UEFI, as a board has it: its environment is what a system there can write.

Debian's kernel has no driver for that flash. So the flash's file is there a second time, as a disk; and QEMU,
which reads the file only when it starts, is started anew where a board would be reset.
"""

import re
import struct
import zlib
from pathlib import Path

import rig_files
import rig_qemu

#: Its variables, as they are in its binary: there is no other place that says them all.
_DEFAULTS = re.compile(rb"(?:[a-z_0-9]+=[\x20-\x7e]*\0){8,}")
#: What an administrator has set: what it boots is its extlinux.conf, at once, and not what is there for UEFI.
_SET = {
    b"bootmeths": b"extlinux",
    b"bootdelay": b"0",
    b"bootcmd": b"bootflow scan -lb",
}


def flash(path: Path, u_boot: bytes) -> Path:
    """Write the flash with U-Boot's environment, as somebody sets it up."""
    found = next(each for each in _DEFAULTS.findall(u_boot) if b"bootcmd=" in each)
    variables = dict(line.split(b"=", 1) for line in found.rstrip(b"\0").split(b"\0")) | _SET
    lines = b"".join(b"%s=%s\0" % each for each in sorted(variables.items()))
    content = lines.ljust(rig_files.U_BOOT_SIZE - 4, b"\0")
    return rig_qemu.flash(path, struct.pack("<I", zlib.crc32(content)) + content)


def options(flash: Path) -> list[str]:
    """Return QEMU's options for what the usual rig has not. No random numbers here, either: see rig_qemu."""
    return [
        *("-M", "dtb-randomness=off", "-no-reboot"),
        *("-drive", f"if=none,id=env,format=raw,file.locking=off,file={flash}"),
        *("-device", f"virtio-blk-pci,drive=env,serial={rig_files.U_BOOT_DISK}"),
    ]
