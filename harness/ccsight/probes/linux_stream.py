"""From the streams of ``ccprobe caches`` and ``ccprobe linux`` to evidence: what Linux says of its caches.

Complete or not at all, as everywhere; but that a guest did not come to its end is an observation, too.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from msgspec.structs import replace

from ccsight.evidence.linux import OFF, Domain, Leaf, LinuxCpu, LinuxGuest
from ccsight.evidence.record import Hex
from ccsight.probes.stream import Line, Stream, refuse
from ccsight.probes.views import guest_stream, require_kvm

#: How a guest can end that does not turn itself off: by itself, or because ccprobe ends it.
_RESET, _REFUSED = "reset", "refused"
_ENDED = ("guest-does-not-end", "guest-says-too-much", "guest-mmio", "guest-exit", "guest-system-event")
_KINDS = ("kvm", "vm", "set", "clidr", "guest", "console", "end", "error")
_TYPES = ("Data", "Instruction", "Unified", "")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,9}")
_SIZE = re.compile(r"(0|[1-9][0-9]{0,6})K")
_CPUS = re.compile(r"[0-9]+([,-][0-9]+)*")


def host_cpus(stream: Stream) -> tuple[LinuxCpu, ...]:
    """Return what the host's sysfs shows of each of its CPUs."""
    stream.expect("ccprobe-caches")
    stream.raise_errors()
    return _cpus(stream)


def host_leaves(stream: Stream) -> tuple[Leaf, ...]:
    """Return the caches that the host's sysfs shows of its first CPU; none where it has no such folder."""
    cpus = host_cpus(stream)
    found = (cpus[0].leaves if cpus else None) or ()
    return tuple(leaf for leaf in found if leaf.level and leaf.type)  # nobody can describe any other


def told(stream: Stream, vcpus: int) -> LinuxGuest:
    """Return what came of a Linux guest; what it was given is for the caller to fill in.

    Raises NoKvm, and ProbeError when anything is missing or odd.
    """
    stream.expect("ccprobe-linux")
    for line in stream.lines:
        if line.kind not in _KINDS:
            line.refuse("does not belong into a Linux guest's stream")
    require_kvm(stream)
    found = LinuxGuest(
        device_tree="",
        vcpus=vcpus,
        described=(),
        end=_end(stream),
        refused=_refused(stream),
        clidr_start=_clidr(stream, "start"),
        clidr_end=_clidr(stream, "end"),
        console=tuple(line.values.get("line", "") for line in _of(stream, "console")),
    )
    if len(found.clidr_start) != vcpus:
        refuse(stream.source, f"has CLIDR_EL1 of {len(found.clidr_start)} of {vcpus} vCPUs")
    return _said(stream, found) if found.end == OFF else found


def _of(stream: Stream, kind: str) -> list[Line]:
    return [line for line in stream.lines if line.kind == kind]


def _end(stream: Stream) -> str:
    ends = _of(stream, "end")
    errors = _of(stream, "error")
    if len(errors) == 1 and not ends and errors[0].values.get("what") in _ENDED:
        return errors[0].values["what"]
    stream.raise_errors()
    if len(ends) != 1 or ends[0].values.get("how") not in (OFF, _RESET, _REFUSED):
        refuse(stream.source, f"has {len(ends)} ends of the guest, or one that there is not")
    return ends[0].values["how"]


def _refused(stream: Stream) -> str:
    """Return the errno with which the VMM's CLIDR_EL1 was not taken, "" where it was."""
    for line in _of(stream, "set"):
        if "errno" in line.values:
            return line.errno()
    return ""


def _clidr(stream: Stream, when: str) -> tuple[Hex, ...]:
    lines = [line for line in _of(stream, "clidr") if line.values.get("when") == when]
    for vcpu, line in enumerate(lines):
        line.keys("vcpu", "when", "value")
        if line.count("vcpu") != vcpu:
            line.refuse("is about a vCPU out of order")
    return tuple(line.hex("value") for line in lines)


def _said(stream: Stream, found: LinuxGuest) -> LinuxGuest:
    """Add what our init said in the guest."""
    said = guest_stream(_of(stream, "guest"), f"{stream.source}, init in the guest")
    said.expect("linux")
    said.raise_errors()
    told = [line for line in said.lines if line.kind == "domains"]
    if len(told) != 1:
        refuse(said.source, f"has {len(told)} lines about scheduler domains")
    messages = (line.values.get("value", "") for line in said.lines if line.kind == "message")
    cpus = tuple(replace(cpu, domains=_domains(said, cpu.index)) for cpu in _cpus(said))
    if len(found.clidr_end) != found.vcpus:
        refuse(stream.source, f"has CLIDR_EL1 of {len(found.clidr_end)} vCPUs at the end")
    return replace(
        found,
        cpus=cpus,
        domains_told=not told[0].values,
        messages=tuple(messages),
        lscpu=_lscpu([line for line in said.lines if line.kind == "lscpu"]),
    )


def _lscpu(lines: Sequence[Line]) -> str:
    """Return what lscpu showed, which came in pieces, or why it could not be run."""
    found = ""
    for line in lines:
        if "errno" in line.values:
            return f"not run: {line.errno()}"
        line.keys("at", "value")
        if line.count("at") != len(found.encode()):
            line.refuse("is a piece of lscpu's words out of order")
        found += line.values["value"]
    return found


def _domains(stream: Stream, cpu: int) -> tuple[Domain, ...]:
    lines = [line for line in stream.lines if line.kind == "domain" and line.count("cpu") == cpu]
    for line in lines:
        line.keys("cpu", "index", "name", "llc")
    return tuple(Domain(name=line.values["name"], shares_cache=bool(line.count("llc"))) for line in lines)


def _cpus(stream: Stream) -> tuple[LinuxCpu, ...]:
    """Return each CPU that is online, with its leaves; the lines of leaves follow that of their CPU."""
    lines = [line for line in stream.lines if line.kind in ("cpu", "leaf")]
    heads = [at for at, line in enumerate(lines) if line.kind == "cpu"]
    if not heads or heads[0]:
        refuse(stream.source, "does not start with a CPU")
    return tuple(_cpu(lines[first], lines[first + 1 : end]) for first, end in pairwise([*heads, len(lines)]))


def _cpu(head: Line, lines: Sequence[Line]) -> LinuxCpu:
    head.keys("index", "cache")
    index = head.count("index")
    leaves = tuple(_leaves(index, lines))
    return LinuxCpu(index=index, leaves=leaves if head.count("cache") else None)


def _leaves(cpu: int, lines: Sequence[Line]) -> Iterator[Leaf]:
    for number, line in enumerate(lines):
        if (line.count("cpu"), line.count("index")) != (cpu, number):
            line.refuse(f"is not leaf {number} of CPU {cpu}")
        if line.values.get("type", "") not in _TYPES:
            line.refuse("is a cache of no type that there is")
        yield Leaf(
            level=_optional(line, "level") or 0,
            type=line.values.get("type", ""),
            size=_size(line),
            line=_optional(line, "line"),
            ways=_optional(line, "ways"),
            sets=_optional(line, "sets"),
            shared=_shared(line),
        )


def _size(line: Line) -> int | None:
    """Return bytes: sysfs has them as ``64K``, and has no such file where the size is not known."""
    if "size" not in line.values:
        return None
    matched = _SIZE.fullmatch(line.values["size"])
    if not matched:
        line.refuse("has no size as sysfs writes one")
    return int(matched[1]) << 10


def _optional(line: Line, key: str) -> int | None:
    """Return what sysfs has of 32 bits, None where it has no such file."""
    if key not in line.values:
        return None
    if not _NUMBER.fullmatch(line.values[key]):
        line.refuse(f"has no number as {key}")
    return int(line.values[key])


def _shared(line: Line) -> str:
    found = line.values.get("shared", "")
    if found and not _CPUS.fullmatch(found):
        line.refuse("has no list of CPUs")
    return found
