"""Which kernel runs on which machine, as ``ccprobe identity`` says it.

Whether they are the right ones is not asked here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ccsight.evidence.model import Cpu, Substrate
from ccsight.probes.stream import Line, Stream, refuse

_KINDS = ("text", "cpu", "log", "feature", "kvm")
#: What every kernel has, in these forms; a device tree and DMI are there or not.
_REQUIRED = {
    "release": re.compile(r"[!-~]{1,64}"),
    "banner": re.compile(r"Linux version .*", re.DOTALL),
    "boot-id": re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "build-id": re.compile(r"(?:[0-9a-f]{2}){1,64}"),
    "command-line": re.compile(r".*", re.DOTALL),
}
_OPTIONAL = ("compatible", "dmi-vendor", "dmi-product")

#: How virtual machines begin to call themselves: in a device tree's first compatible string ...
_VIRTUAL_COMPATIBLE = (
    "linux,dummy-virt",  # QEMU, kvmtool, crosvm, Firecracker, Cloud Hypervisor
    "xen,xenvm",
)
#: ... or in DMI's vendor and product.
_VIRTUAL_DMI = (
    "Alibaba Cloud ",
    "Amazon EC2 ",
    "Apple Inc. Apple Virtualization",
    "Google Google Compute Engine",
    "KVM ",
    "Microsoft Corporation Virtual Machine",
    "OpenStack Foundation ",
    "Parallels ",
    "QEMU ",
    "VMware, Inc. ",
    "Xen ",
)
#: What QEMU says in DMI where no KVM is below it: there, its product is a "KVM Virtual Machine" (its
#: hw/arm/virt.c, virt_build_smbios()). On macOS it may be no emulation, which proves no more.
_EMULATED_DMI = "QEMU QEMU Virtual Machine"


@dataclass(frozen=True)
class Identity:
    """What a running system says of itself.

    ``banner`` is /proc/version. ``compatible`` is the device tree's strings with spaces between, else
    DMI's vendor and product, else "". ``cpus`` are those online, in order. ``kvm_problem`` is the errno
    of opening /dev/kvm, "" when that worked. ``substrate`` is EMULATED only where QEMU's DMI says so: else
    an emulator looks like a hypervisor, and only who started it knows better. ``cpu_features`` is what the
    kernel's log calls detected, each once, in its order; None when the log cannot be read or lacks its
    beginning.
    """

    release: str
    banner: str
    boot_id: str
    build_id: str
    command_line: str
    compatible: str
    cpus: tuple[Cpu, ...]
    kvm_problem: str
    substrate: Substrate
    cpu_features: tuple[str, ...] | None


def identity(stream: Stream) -> Identity:
    """Return what a stream of ``ccprobe identity`` says.

    Raises ProbeError when anything is missing or odd.
    """
    stream.expect("ccprobe-identity")
    stream.raise_errors()
    for line in stream.lines:
        if line.kind not in _KINDS:
            line.refuse("does not belong into an identity")
    texts = _texts(line for line in stream.lines if line.kind == "text")
    cpus = _cpus(line for line in stream.lines if line.kind == "cpu")
    kvm = [kvm_problem(line) for line in stream.lines if line.kind == "kvm"]
    logs = sum(line.kind == "log" for line in stream.lines)
    for name, form in _REQUIRED.items():
        if not form.fullmatch(texts.get(name, "")):
            refuse(stream.source, f"has no {name} of the right form", repr(texts.get(name, "")))
    if not cpus or (len(kvm), logs) != (1, 1):
        refuse(stream.source, f"has {len(cpus)} lines about CPUs, {len(kvm)} about KVM, {logs} about the log")
    board = " ".join(filter(None, texts.get("compatible", "").split("\0")))
    dmi = f"{texts.get('dmi-vendor', '')} {texts.get('dmi-product', '')}".strip()
    return Identity(
        release=texts["release"],
        banner=texts["banner"],
        boot_id=texts["boot-id"],
        build_id=texts["build-id"],
        command_line=texts["command-line"],
        compatible=board or dmi,
        cpus=cpus,
        kvm_problem=kvm[0],
        substrate=substrate(board, dmi),
        cpu_features=_cpu_features(line for line in stream.lines if line.kind in ("log", "feature")),
    )


def substrate(board: str, dmi: str) -> Substrate:
    """Return what a machine with this device tree compatible and these DMI words is made of."""
    if dmi.startswith(_EMULATED_DMI):
        return Substrate.EMULATED
    if board:
        return Substrate.VIRTUAL if board.startswith(_VIRTUAL_COMPATIBLE) else Substrate.METAL
    if not dmi:
        return Substrate.UNKNOWN
    # EC2's bare-metal instances name the same vendor, and a product such as m6g.metal
    virtual = f"{dmi} ".startswith(_VIRTUAL_DMI) and ".metal" not in dmi
    return Substrate.VIRTUAL if virtual else Substrate.METAL


def kvm_problem(line: Line) -> str:
    """Return the errno of a ``kvm`` line, or "" when /dev/kvm could be opened."""
    if "errno" in line.values:
        line.keys("errno")
        return line.errno()
    line.keys("api")
    line.count("api")
    return ""


def _texts(lines: Iterable[Line]) -> dict[str, str]:
    """Put texts together from their pieces, each of which says where it belongs."""
    texts: dict[str, bytearray] = {}
    absent: set[str] = set()
    for line in lines:
        name = line.values.get("name", "")
        if name in absent or name not in (*_REQUIRED, *_OPTIONAL):
            line.refuse("has a name that is not expected here")
        if "errno" in line.values:
            _add_absent(line, name, texts)
            absent.add(name)
            continue
        line.keys("name", "at", "value")
        if line.count("at") != len(texts.get(name, b"")) or (name in texts and not line.values["value"]):
            line.refuse("is not the next piece of its text")
        texts.setdefault(name, bytearray()).extend(line.values["value"].encode("latin-1"))
    return {name: text.decode(errors="backslashreplace") for name, text in texts.items()}


def _add_absent(line: Line, name: str, texts: dict[str, bytearray]) -> None:
    line.keys("name", "errno")
    if name in texts:
        line.refuse("says that a text is missing which is there")
    if name in _REQUIRED:
        line.refuse(f"says that {name} cannot be read: {line.errno()}")
    line.errno()


def _cpus(lines: Iterable[Line]) -> tuple[Cpu, ...]:
    cpus: list[Cpu] = []
    last = -1
    for line in lines:
        if "errno" in line.values:
            line.refuse(f"says that a CPU cannot be identified: {line.errno()}")
        line.keys("index", "midr", "revidr")
        if line.count("index") <= last:
            line.refuse("is about a CPU out of order")
        last = line.count("index")
        cpus.append(Cpu(midr=line.hex("midr"), revidr=line.hex("revidr")))
    return tuple(cpus)


def _cpu_features(lines: Iterable[Line]) -> tuple[str, ...] | None:
    """Read the one ``log`` line and the features behind it."""
    log, *features = lines
    if log.kind != "log":
        log.refuse("stands before the line about the log that it is from")
    for line in features:
        line.keys("value")
    if "errno" in log.values:
        log.keys("errno")
        if features:
            features[0].refuse(f"is from a log that could not be read: {log.errno()}")
        log.errno()
        return None
    log.keys("whole")
    if log.count("whole") > 1:
        log.refuse("has no yes or no in whole")
    words = (line.values["value"].encode("latin-1").decode(errors="backslashreplace") for line in features)
    return tuple(dict.fromkeys(words)) if log.count("whole") else None
