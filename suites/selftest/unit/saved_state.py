"""Saved states made by hand: the form of guests/vmm/state.h."""

import struct
import zlib
from dataclasses import dataclass, field

BASE, MEMORY, PAGE = 0x4000_0000, 0x40_0000, 4096
CLIDR, CCSIDR0, WIDE = 0x6030_0000_0013_C801, 0x6020_0000_0011_0000, 0x6040_0000_0010_0054


def register(kvm_id: int, value: int = 0, problem: int = 0) -> bytes:
    size = 0 if problem else 1 << (kvm_id >> 52 & 0xF)
    padded = -(-size // 8) * 8
    return struct.pack("<Q2I", kvm_id, problem, size) + (value.to_bytes(padded, "little") if size else b"")


def vcpu(*registers: bytes, mp_state: int = 0) -> bytes:
    return struct.pack("<2I", mp_state, len(registers)) + b"".join(registers)


def page(address: int = BASE, fill: bytes = b"\x5a") -> bytes:
    return struct.pack("<Q", address) + fill * PAGE


@dataclass
class Saved:
    """A state that is right in everything, unless it is told otherwise."""

    vcpus: tuple[bytes, ...] = (vcpu(register(CLIDR, 0x0A20_0023), register(CCSIDR0, 0x701F_E00A)),) * 2
    pages: tuple[bytes, ...] = (page(),)
    head: dict[str, object] = field(default_factory=dict)

    def content(self) -> bytes:
        body = b"".join(self.vcpus + self.pages)
        head = {
            "magic": b"CCSIGHT\n",
            "version": 1,
            "machine": 183,
            "vcpus": len(self.vcpus),
            "page": PAGE,
            "base": BASE,
            "memory": MEMORY,
            "pages": len(self.pages),
            "size": 64 + len(body),
            "checksum": zlib.crc32(body),
        } | self.head
        return struct.pack("<8s4I5Q", *head.values()) + body
