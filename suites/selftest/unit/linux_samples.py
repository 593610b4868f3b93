"""Linux guests as they were recorded: on neoverse-n1, whose fabricated CLIDR_EL1 lists L1I and L2."""

import msgspec
from recorded import STREAMS, capture

from ccsight.evidence.linux import CLIDR, OVERRIDE, SYSFS, Leaf, LinuxGuest
from ccsight.evidence.model import Capture
from ccsight.evidence.record import Hex
from ccsight.probes.linux_stream import host_leaves, told
from ccsight.probes.stream import parse

LINUX = STREAMS / "linux"
#: Numbers of the streams, by the way that they were recorded in.
WAYS = {CLIDR: 0, SYSFS: 1, OVERRIDE: 2}
LISTED = (Leaf(level=1, type="Instruction"), Leaf(level=2, type="Unified"))


def raw(name: str) -> bytes:
    return (LINUX / f"{name}.stream").read_bytes()


def host() -> tuple[Leaf, ...]:
    return host_leaves(parse(raw("neoverse-n1-6.12/caches"), "caches"))


def guest(way: str, folder: str = "neoverse-n1-6.12") -> LinuxGuest:
    """Return a guest as it was recorded."""
    found = told(parse(raw(f"{folder}/linux-{WAYS[way]}"), "linux"), 2)
    override = Hex(0x1000003) if way == OVERRIDE else None
    described = LISTED if way == CLIDR else host()
    return msgspec.structs.replace(found, device_tree=way, described=described, override=override)


def linux_capture(*guests: LinuxGuest, series: str = "6.12") -> Capture:
    """Return a capture with these guests; without any, with one in each way."""
    found = guests or tuple(map(guest, WAYS))
    return msgspec.structs.replace(capture("neoverse-n1", series), linux=found)
