"""A writer of flattened device trees (Devicetree Specification 0.4, chapter 5), whatever they say."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

#: A property: nothing, a number of 32 bits, several, a text, several, or bytes as they are.
Value = None | int | str | bytes | tuple[int, ...] | tuple[str, ...]

_BEGIN, _END, _PROPERTY, _LAST = 1, 2, 3, 9
_MAGIC, _VERSION, _COMPATIBLE = 0xD00DFEED, 17, 16
_HEADER = 40
_RESERVATIONS = bytes(16)  # the list of reserved memory, which ends at once


@dataclass
class Node:
    """A node with its properties, and the nodes in it."""

    name: str
    properties: Mapping[str, Value]
    children: list["Node"] = field(default_factory=list)

    def add(self, name: str, properties: Mapping[str, Value]) -> "Node":
        """Add a node, and return it."""
        child = Node(name, properties)
        self.children.append(child)
        return child


def blob(root: Node) -> bytes:
    """Return the tree in the form in which a kernel takes it."""
    names: dict[str, int] = {}
    body = _packed(root, names) + struct.pack(">I", _LAST)
    strings = b"".join(name.encode() + b"\0" for name in names)
    at_body = _HEADER + len(_RESERVATIONS)
    at_strings = at_body + len(body)
    header = struct.pack(
        ">10I",
        _MAGIC,
        at_strings + len(strings),
        at_body,
        at_strings,
        _HEADER,
        _VERSION,
        _COMPATIBLE,
        0,  # the CPU that boots
        len(strings),
        len(body),
    )
    return header + _RESERVATIONS + body + strings


def _packed(node: Node, names: dict[str, int]) -> bytes:
    parts = [struct.pack(">I", _BEGIN), _aligned(node.name.encode() + b"\0")]
    for name, value in node.properties.items():
        if name not in names:
            names[name] = sum(len(known.encode()) + 1 for known in names)
        content = _bytes(value)
        parts += [struct.pack(">III", _PROPERTY, len(content), names[name]), _aligned(content)]
    parts += [_packed(child, names) for child in node.children]
    return b"".join([*parts, struct.pack(">I", _END)])


def _bytes(value: Value) -> bytes:
    if value is None or isinstance(value, bytes):
        return value or b""
    items = value if isinstance(value, tuple) else (value,)
    return b"".join(
        item.encode() + b"\0" if isinstance(item, str) else struct.pack(">I", item) for item in items
    )


def _aligned(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)
