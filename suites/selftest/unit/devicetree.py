"""Flattened device trees, made by hand (Devicetree Specification 0.4, chapter 5)."""

import struct


class Tree:
    """A flattened device tree (version 17) of what is put into it."""

    def __init__(self):
        self.struct, self.strings = b"", b""

    def begin(self, name: str) -> "Tree":
        self.struct += struct.pack(">I", 1) + _padded(name.encode() + b"\0")
        return self

    def prop(self, name: str, value: bytes | str | int) -> "Tree":
        if isinstance(value, str):
            value = value.encode() + b"\0"
        if isinstance(value, int):
            value = struct.pack(">I", value)
        self.struct += struct.pack(">III", 3, len(value), len(self.strings)) + _padded(value)
        self.strings += name.encode() + b"\0"
        return self

    def nop(self) -> "Tree":
        self.struct += struct.pack(">I", 4)
        return self

    def end(self) -> "Tree":
        self.struct += struct.pack(">I", 2)
        return self

    def node(self, name: str, **properties: bytes | str | int) -> "Tree":
        self.begin(name)
        for key, value in properties.items():
            self.prop(key.replace("_", "-").replace("cells-", "#"), value)
        return self.end()

    def blob(self) -> bytes:
        body = self.struct + struct.pack(">I", 9)
        header = 40 + 16  # and an empty list of reserved memory
        sizes = (header + len(body) + len(self.strings), header, header + len(body), 40)
        numbers = (0xD00DFEED, *sizes, 17, 16, 0, len(self.strings), len(body))
        return struct.pack(">10I", *numbers) + bytes(16) + body + self.strings


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)


def root(cells: int | None = 2) -> Tree:
    tree = Tree().begin("")
    return tree if cells is None else tree.prop("#address-cells", cells).prop("#size-cells", 2)


def address(base: int, cells: int = 2) -> bytes:
    return struct.pack(">QQ", base, 0x1000) if cells == 2 else struct.pack(">II", base, 0x1000)


def pl011(base: int, cells: int = 2, **others) -> dict:
    return {"compatible": b"arm,pl011\0arm,primecell\0", "reg": address(base, cells), **others}
