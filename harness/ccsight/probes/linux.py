"""The host's own kernel as a guest: what its sysfs says of the caches, for each way to describe them to it.

A VMM tells a Linux guest of its caches twice: by CLIDR_EL1, and by a device tree. Where the two come from
different places they may not fit together; so each way is tried, and none is judged here.
"""

import gzip
import hashlib
import tarfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile

from msgspec.structs import replace

from ccsight.deadline import Deadline
from ccsight.errors import ArchiveError, InfraError, ProbeError
from ccsight.evidence.linux import LOST, LinuxGuest
from ccsight.evidence.views import View
from ccsight.machines import cpio
from ccsight.probes import build, linux_stream
from ccsight.probes.linux_tree import linux_tree
from ccsight.probes.linux_ways import Way, ways
from ccsight.probes.runner import Probe
from ccsight.toolbox.userland import guest_userland

VCPUS = 2
#: Seconds after which a guest is ended that is not done. An emulated one takes one or two, or twenty times as
#: long where eight others share two CPUs.
_GUEST_SECONDS = 60
#: What these are called on the host.
IMAGE, INITRD = "Image", "initrd"
#: That of the first guest, which has lscpu, too: 0.8 s of an emulated CPU, so no other one has.
_INITRD_FIRST = "initrd-first"


def observe(
    probe: Probe, image: Path, views: Sequence[View], deadline: Deadline, *, at: str = ""
) -> tuple[LinuxGuest, ...]:
    """Boot ``image`` as a guest in each way that there is on this host; ``views`` are those of a bare guest.

    ``at`` is where it lies on the host, "" where it has to be sent. A guest that does not come to its end is
    an observation, and so is that one was lost; raises what went wrong first where all were.
    """
    found = ways(views, linux_stream.host_leaves(probe.caches(deadline)))
    if not image.is_file():
        raise ProbeError("there is no image of the host's kernel that could run as a guest")
    init = build.built(deadline) / build.LINUX_INIT
    probe.programs[init.name] = hashlib.sha256(init.read_bytes()).hexdigest()
    extra, why_none = _extra(deadline)
    files = {_INITRD_FIRST: initrd(init.read_bytes(), extra), INITRD: initrd(init.read_bytes())}
    for number, way in enumerate(found):
        files[f"{number}.dtb"] = linux_tree(VCPUS, way.described, len(files[_initrd_of(number)]))
    place(probe, None if at else image, files, deadline)
    problems: list[InfraError | ProbeError] = []
    guests = []
    for number, way in enumerate(found):
        try:
            guest = _booted(probe, at or IMAGE, way, number, deadline)
        except (InfraError, ProbeError) as error:
            problems.append(error)
            guest = LinuxGuest(device_tree="", vcpus=VCPUS, described=(), end=LOST, console=(error.fact,))
        guests.append(_completed(guest, way, "" if number else why_none))
    if len(problems) == len(found):
        raise problems[0]
    return tuple(guests)


def _extra(deadline: Deadline) -> tuple[Path | None, str]:
    """Return the programs for a guest beside our own, or why there are none."""
    try:
        return guest_userland(deadline, lambda _: None), ""
    except ArchiveError as error:
        return None, f"not run: {error.fact}"


def initrd(init: bytes, extra: Path | None = None) -> bytes:
    """Return the initramfs of a guest: ``init`` alone, or with the programs of a folder.

    It has no console, but the kernel's log.
    """
    folders = (cpio.folder(name) for name in ("dev", "proc", "sys"))
    log = cpio.node("dev/kmsg", 1, 11)
    programs = cpio.tree(extra) if extra else []
    return cpio.archive([*folders, log, *programs, cpio.file("init", init, 0o755)])


def place(probe: Probe, image: Path | None, files: dict[str, bytes], deadline: Deadline) -> None:
    """Lay everything out on the host. The kernel goes packed: the way is slower than unpacking."""
    with NamedTemporaryFile(suffix=".tgz") as bundle:
        with (
            gzip.open(bundle, "wb", compresslevel=4) as packed,
            tarfile.open(fileobj=packed, mode="w") as archive,
        ):
            if image:
                archive.add(image, IMAGE)
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, BytesIO(content))
        bundle.flush()
        probe.lay(Path(bundle.name), deadline)


def _initrd_of(number: int) -> str:
    return INITRD if number else _INITRD_FIRST


def _booted(probe: Probe, image: str, way: Way, number: int, deadline: Deadline) -> LinuxGuest:
    words = [image, _initrd_of(number), f"{number}.dtb", str(VCPUS), str(_GUEST_SECONDS), *way.writes]
    return linux_stream.told(probe.linux(f"linux-{number}", words, deadline), VCPUS)


def _completed(guest: LinuxGuest, way: Way, no_lscpu: str) -> LinuxGuest:
    """Add what a guest was given."""
    return replace(
        guest,
        device_tree=way.device_tree,
        described=way.described,
        override=way.override,
        ctr=way.ctr,
        lscpu=guest.lscpu or no_lscpu,
    )
