"""The device tree of a Linux guest in ccprobe's machine: the board, and the caches that a VMM tells it of.

``guests/include/board.h`` has the same addresses.
"""

from collections.abc import Sequence
from itertools import groupby

from ccsight.evidence.linux import Leaf
from ccsight.probes.flat_tree import Node, Value, blob

INITRD = 0x4780_0000
_GIC_DISTRIBUTOR, _GIC_REDISTRIBUTORS = (0x0800_0000, 0x1_0000), (0x080A_0000, 0x2_0000)
_PL011 = (0x0900_0000, 0x1000)
_MEMORY = (0x4000_0000, 0x0800_0000)

#: Numbers by which nodes refer to each other: the interrupt controller, caches from 16 on.
_GIC, _CACHES = 1, 16
#: Interrupts of the architected timer that only a CPU itself sees: secure, physical, virtual, hypervisor.
_TIMERS = (13, 14, 11, 10)
_PRIVATE, _LEVEL_LOW = 1, 8

#: earlycon alone: it polls, and needs neither a node, nor a clock, nor an interrupt. What a kernel says in
#: good health would cost time. Without sched_verbose the scheduler does not show its domains.
BOOTARGS = (
    f"earlycon=pl011,{_PL011[0]:#x} keep_bootcon loglevel=4 printk.time=0 printk.devkmsg=on panic=-1 "
    "nokaslr rcupdate.rcu_expedited=1 cryptomgr.notests sched_verbose"
)

#: What one cell of a device tree holds is less.
_CELL = 1 << 32
#: How the properties of each type of leaf begin: i-cache-size, d-cache-size, cache-size.
_PREFIX = {"Instruction": "i-cache", "Data": "d-cache", "Unified": "cache"}


def linux_tree(vcpus: int, leaves: Sequence[Leaf], initrd_size: int) -> bytes:
    """Return the device tree of a machine with so many vCPUs, each of which has these caches."""
    root = Node("", _cells(2) | {"compatible": "linux,dummy-virt", "interrupt-parent": _GIC})
    initrd: dict[str, Value] = {
        "linux,initrd-start": _wide(INITRD),
        "linux,initrd-end": _wide(INITRD + initrd_size),
    }
    root.add("chosen", initrd | {"bootargs": BOOTARGS})
    root.add(f"memory@{_MEMORY[0]:x}", {"device_type": "memory", "reg": _wide(*_MEMORY)})
    root.add("psci", {"compatible": ("arm,psci-1.0", "arm,psci-0.2"), "method": "hvc"})
    _add_devices(root, vcpus)
    _add_cpus(root, vcpus, leaves)
    return blob(root)


def _cells(address: int, size: int = 2) -> dict[str, Value]:
    return {"#address-cells": address, "#size-cells": size}


def _wide(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(8, "big") for number in numbers)


def _add_devices(root: Node, vcpus: int) -> None:
    first, size = _GIC_REDISTRIBUTORS
    root.add(
        f"interrupt-controller@{_GIC_DISTRIBUTOR[0]:x}",
        {
            "compatible": "arm,gic-v3",
            "#interrupt-cells": 3,
            "interrupt-controller": None,
            "reg": _wide(*_GIC_DISTRIBUTOR, first, size * vcpus),
            "phandle": _GIC,
        },
    )
    timers = tuple(cell for number in _TIMERS for cell in (_PRIVATE, number, _LEVEL_LOW))
    root.add("timer", {"compatible": "arm,armv8-timer", "interrupts": timers, "always-on": None})


def _add_cpus(root: Node, vcpus: int, leaves: Sequence[Leaf]) -> None:
    cpus = root.add("cpus", _cells(1, 0))
    levels = {level: tuple(group) for level, group in groupby(leaves, key=lambda leaf: leaf.level)}
    phandles = {level: _CACHES + level * 16 for level in levels if level > 1}
    for cpu in range(vcpus):
        own = {
            level: phandle + (0 if _is_shared(levels[level]) else cpu) for level, phandle in phandles.items()
        }
        node: dict[str, Value] = {"device_type": "cpu", "compatible": "arm,armv8", "reg": cpu}
        node |= {"enable-method": "psci"} | _properties(levels.get(1, ())) | _next(own, 1)
        cpus.add(f"cpu@{cpu}", node)
        for level, phandle in own.items():
            if cpu == 0 or not _is_shared(levels[level]):
                cache: dict[str, Value] = {"compatible": "cache", "cache-level": level, "phandle": phandle}
                cpus.add(f"cache-{level}-{cpu}", cache | _properties(levels[level]) | _next(own, level))


def _is_shared(leaves: Sequence[Leaf]) -> bool:
    return any(not leaf.shared.isdigit() for leaf in leaves if leaf.shared)


def _next(phandles: dict[int, int], level: int) -> dict[str, Value]:
    further = [phandle for other, phandle in sorted(phandles.items()) if other > level]
    return {"next-level-cache": further[0]} if further else {}


def _properties(leaves: Sequence[Leaf]) -> dict[str, Value]:
    """Describe the caches of one level.

    Linux counts a level's caches by their sizes' properties, so that of an unknown size is there, and 0
    (of_count_cache_leaves(), drivers/base/cacheinfo.c); 0 is not shown to anybody. Nor can a tree tell of
    4 GiB and more: these properties are one cell.
    """
    found: dict[str, Value] = {}
    for leaf in leaves:
        prefix = _PREFIX[leaf.type]
        found |= {"cache-unified": None} if leaf.type == "Unified" else {}
        found[f"{prefix}-size"] = leaf.size if leaf.size and leaf.size < _CELL else 0
        found |= {f"{prefix}-line-size": leaf.line} if leaf.line else {}
        found |= {f"{prefix}-sets": leaf.sets} if leaf.sets else {}
    return found
