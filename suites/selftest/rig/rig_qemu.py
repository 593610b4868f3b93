"""The rig as QEMU's options: a server with UEFI, a disk, a network card, a watchdog, and nothing of ours."""

import struct
from dataclasses import dataclass
from pathlib import Path

from ccsight.toolbox.qemu import Qemu

#: What a flash chip of the ``virt`` board holds; QEMU wants a file of exactly that.
FLASH = 64 << 20
#: With EL2, and the quickest to emulate. The firmware has no source of random numbers, so that the kernel's
#: addresses stay where they are: else it isolates its page tables (KPTI), and all takes twice as long, for
#: QEMU drops its translations whenever TTBR0_EL1's ASID changes. A second CPU costs half as much again.
_CPU = "cortex-a57"


@dataclass(frozen=True)
class Parts:
    """The files of a machine: ``drive`` are QEMU's words for the disk's file."""

    firmware: Path
    variables: Path
    drive: str
    console: Path


def command(tool: Qemu, parts: Parts, cpus: int = 1, memory: int = 1536) -> list[str]:
    """Return the arguments for a machine of so many CPUs and MiB; a reset starts its firmware again."""
    return [
        *tool.argv,
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-M", "virt,virtualization=on,gic-version=3", "-cpu", _CPU, "-accel", "tcg,thread=multi"),
        *("-smp", str(cpus), "-m", str(memory)),
        *("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={parts.firmware}"),
        *("-drive", f"if=pflash,unit=1,format=raw,file={parts.variables}"),
        *("-drive", f"if=none,id=disk,cache=unsafe,discard=unmap,{parts.drive}"),
        # No order is given to the firmware: what it boots is for its own variables to say, at once.
        *("-device", "virtio-blk-pci,drive=disk", "-boot", "menu=on,splash-time=0"),
        *("-device", "i6300esb", "-action", "watchdog=reset"),
        *("-chardev", f"file,id=console,append=on,path={parts.console}", "-serial", "chardev:console"),
    ]


def flash(path: Path, content: bytes = b"") -> Path:
    """Write the content of a flash chip, sparse; an empty one is what the firmware formats by itself."""
    path.write_bytes(content.rstrip(b"\0"))
    with path.open("r+b") as file:
        file.truncate(FLASH)
    return path


def network(port: int) -> list[str]:
    """Return the options for a network that leads to nothing but the machine's sshd, from our port."""
    forward = f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"
    return ["-netdev", forward, "-device", "virtio-net-pci,netdev=net,romfile="]


def overlay(path: Path, size: int) -> Path:
    """Write an empty image in QEMU's format, to go before one of ``size`` bytes: see layered().

    The layout is docs/interop/qcow2.rst's, version 2: a cluster each for the header, the table of blocks of
    reference counts, such a block (it counts these four), and the table of the disk's clusters, all zero.
    """
    cluster = 1 << 16
    tables = -(-size // (cluster * cluster // 8))
    header = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, size, 0, tables, 3 * cluster, cluster, 1, 0, 0
    )
    clusters = (header, struct.pack(">Q", 2 * cluster), struct.pack(">4H", 1, 1, 1, 1), bytes(8 * tables))
    path.write_bytes(b"".join(each.ljust(cluster, b"\0") for each in clusters))
    return path


def layered(above: Path, base: Path) -> str:
    """Return QEMU's words for a disk that reads from ``base`` what has not been written to ``above``."""
    names = (str(path).replace(",", ",,") for path in (above, base))
    return "format=qcow2,file={},backing.driver=raw,backing.file.filename={}".format(*names)
