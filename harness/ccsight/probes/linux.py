"""The host's own kernel as a guest: what its sysfs says of the caches, for each way to describe them to it.

A VMM tells a Linux guest of its caches twice: by CLIDR_EL1, and by a device tree. Where the two come from
different places they may not fit together; so each way is tried, and none is judged here.
"""

import gzip
import hashlib
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile

from msgspec.structs import replace

from ccsight.arm64.caches import Layout, Side, geometry, listed
from ccsight.arm64.kvm_ids import of_reading
from ccsight.arm64.registers import CLIDR_EL1, CTR_EL0, ccsidr
from ccsight.deadline import Deadline
from ccsight.errors import ProbeError
from ccsight.evidence.linux import CLIDR, OVERRIDE, SYSFS, Leaf, LinuxGuest
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Vantage, View
from ccsight.machines import cpio
from ccsight.probes import build, linux_stream
from ccsight.probes.linux_tree import linux_tree
from ccsight.probes.runner import Probe

VCPUS = 2
#: Seconds after which a guest is ended that is not done: an emulated one takes about one.
_GUEST_SECONDS = 30
#: What these are called on the host.
IMAGE, INITRD = "Image", "initrd"
_TYPES = {Side.INSTRUCTION: "Instruction", Side.DATA: "Data", Side.UNIFIED: "Unified"}
_CTYPES = {("Instruction",): 1, ("Data",): 2, ("Data", "Instruction"): 3, ("Unified",): 4}


@dataclass(frozen=True)
class Way:
    """A way to describe caches: the word for it, those in the device tree, and CLIDR_EL1 if it is written."""

    device_tree: str
    described: tuple[Leaf, ...]
    override: Hex | None = None


def observe(probe: Probe, image: Path, views: Sequence[View], deadline: Deadline) -> tuple[LinuxGuest, ...]:
    """Boot ``image`` as a guest in each way that there is on this host; ``views`` are those of a bare guest.

    Raises ProbeError when ccprobe cannot do it; a guest that does not come to its end is an observation.
    """
    guest = next(view for view in views if view.vantage is Vantage.GUEST)
    found = ways(guest, linux_stream.host_leaves(probe.caches(deadline)))
    if not image.is_file():
        raise ProbeError("there is no image of the host's kernel that could run as a guest")
    init = build.built(deadline) / build.LINUX_INIT
    probe.programs[init.name] = hashlib.sha256(init.read_bytes()).hexdigest()
    packed = initrd(init.read_bytes())
    trees = [linux_tree(VCPUS, way.described, len(packed)) for way in found]
    place(probe, image, {INITRD: packed} | {f"{n}.dtb": tree for n, tree in enumerate(trees)}, deadline)
    return tuple(_booted(probe, way, number, deadline) for number, way in enumerate(found))


def ways(guest: View, host: tuple[Leaf, ...]) -> tuple[Way, ...]:
    """Return the ways to describe caches: by CLIDR_EL1, and by the host's sysfs where it has any.

    The host's also with a CLIDR_EL1 that fits, unless it fits without.
    """
    clidr, ctr = guest.value("CLIDR_EL1"), guest.value("CTR_EL0")
    if clidr is None or ctr is None:
        raise ProbeError("no bare guest read CLIDR_EL1 and CTR_EL0, of which a VMM makes a device tree")
    found = [Way(CLIDR, leaves_of(guest, clidr))]
    if host:
        found.append(Way(SYSFS, host))
    if host and {leaf.name for leaf in host} != {cache.name for cache in listed(clidr)}:
        found.append(Way(OVERRIDE, host, clidr_of(host, ctr)))
    return tuple(found)


def leaves_of(guest: View, clidr: int) -> tuple[Leaf, ...]:
    """Return the caches that CLIDR_EL1 lists; those whose sizes KVM makes up are without."""
    return tuple(_leaf(guest, cache.level, cache.side, cache.selector) for cache in listed(clidr))


def _leaf(guest: View, level: int, side: Side, selector: int) -> Leaf:
    size = guest.value(ccsidr(selector))
    shape = None if size is None else geometry(size, Layout.of(guest.value("ID_AA64MMFR2_EL1") or 0))
    if shape is None or shape.is_fabricated:
        return Leaf(level=level, type=_TYPES[side])
    return Leaf(
        level=level, type=_TYPES[side], size=shape.size, line=shape.line, ways=shape.ways, sets=shape.sets
    )


def clidr_of(leaves: Sequence[Leaf], ctr: int) -> Hex:
    """Return the CLIDR_EL1 that a VMM makes of sysfs, which says nothing of LoC, LoUU and LoUIS.

    As Firecracker does it (its PR 5780): LoC is the last level, LoUU and LoUIS are 0. Where CTR_EL0.IDC is
    0, KVM takes only a value that has them (set_clidr(), 7af0c2534f4c): level 1 then.
    """
    types: dict[int, list[str]] = {}
    for leaf in leaves:
        types.setdefault(leaf.level, []).append(leaf.type)
    unified = 0 if CTR_EL0.field("IDC").extract(ctr) else 1
    fields = {f"Ctype{level}": _CTYPES[tuple(sorted(found))] for level, found in types.items()}
    fields |= {"LoC": max(types), "LoUU": unified, "LoUIS": unified}
    return Hex(sum(value << CLIDR_EL1.field(name).lo for name, value in fields.items()))


def initrd(init: bytes) -> bytes:
    """Return the initramfs whose only program is ``init``: it has no console, but the kernel's log."""
    folders = (cpio.folder(name) for name in ("dev", "proc", "sys"))
    log = cpio.node("dev/kmsg", 1, 11)
    return cpio.archive([*folders, log, cpio.file("init", init, 0o755)])


def place(probe: Probe, image: Path, files: dict[str, bytes], deadline: Deadline) -> None:
    """Lay everything out on the host. The kernel goes packed: the way is slower than unpacking."""
    with NamedTemporaryFile(suffix=".tgz") as bundle:
        with (
            gzip.open(bundle, "wb", compresslevel=4) as packed,
            tarfile.open(fileobj=packed, mode="w") as archive,
        ):
            archive.add(image, IMAGE)
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, BytesIO(content))
        bundle.flush()
        probe.lay(Path(bundle.name), deadline)


def _booted(probe: Probe, way: Way, number: int, deadline: Deadline) -> LinuxGuest:
    override = [f"{of_reading('CLIDR_EL1'):x}={way.override:x}"] if way.override is not None else []
    words = [IMAGE, INITRD, f"{number}.dtb", str(VCPUS), str(_GUEST_SECONDS), *override]
    told = linux_stream.told(probe.linux(f"linux-{number}", words, deadline), VCPUS)
    return replace(told, device_tree=way.device_tree, described=way.described, override=way.override)
