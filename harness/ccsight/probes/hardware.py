"""What each physical CPU says of its caches to the host's own kernel, which takes our module in meanwhile.

Complete or not at all, like the views of a guest: every CPU that the stream begins, with every register.
"""

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from ccsight.arm64.caches import listed
from ccsight.arm64.registers import ccsidr
from ccsight.deadline import Deadline
from ccsight.errors import CcsightError, ProbeError
from ccsight.evidence.views import HOST, Reading, Vantage, View
from ccsight.machines.model import Host
from ccsight.probes.stream import STREAM_MAX, Line, Stream, refuse

#: What is read on every CPU, in the order in which it is sent; the caches that CLIDR_EL1 lists come after it.
READINGS = ("CTR_EL0", "CLIDR_EL1", "ID_AA64MMFR2_EL1", "MIDR_EL1", "REVIDR_EL1", "DCZID_EL0")

_MODULE = "ccsight_hardware"
_FILE = "/proc/ccsight-hardware"
#: Where a kernel may run: at EL2 with VHE, at EL1 without.
_LEVELS = (1, 2)


def fetched(host: Host, module: Path, place: str, deadline: Deadline) -> bytes:
    """Return what our module says in the host's kernel; afterwards it is there no more.

    ``place`` is the path on the host under which the module lies meanwhile. Raises ProbeError with the
    host's words when its kernel does not take the module, or does not let it go.
    """
    try:
        host.push(module, place, deadline, mode=0o600)
        _must(host, ["insmod", place], deadline)
        try:
            return host.fetch(_FILE, deadline, limit=STREAM_MAX)
        finally:
            _must(host, ["rmmod", _MODULE], deadline)
    finally:
        with suppress(CcsightError):  # what happened before matters more, and the name is unique
            host.run(["rm", "-f", place], deadline)


def _must(host: Host, argv: list[str], deadline: Deadline) -> None:
    done = host.run(argv, deadline)
    if done.returncode:
        raise ProbeError(
            f"{argv[0]} of our kernel module ended with status {done.returncode} on the machine",
            evidence=done.stderr.decode(errors="replace")[-500:].strip(),
            next_step="the kernel's own words are in the machine's log: dmesg, or its console",
        )


def views(stream: Stream) -> tuple[View, ...]:
    """Return one view for each CPU of a stream. Raises ProbeError when anything is missing or odd."""
    stream.expect("ccsight-hardware")
    stream.raise_errors()
    heads = [at for at, line in enumerate(stream.lines) if line.kind == "cpu"]
    if not heads or heads[0]:
        refuse(stream.source, "does not start with a CPU")
    found: list[View] = []
    for first, end in pairwise([*heads, len(stream.lines)]):
        head = stream.lines[first]
        cpu = _cpu(head)
        if found and cpu <= (found[-1].cpu or 0):
            head.refuse("is about a CPU out of order")
        found.append(_view(cpu, _readings(stream, cpu, stream.lines[first + 1 : end])))
    return tuple(found)


def _view(cpu: int, readings: dict[str, Reading]) -> View:
    return View(
        vantage=Vantage.HARDWARE, vcpu=None, program="hardware", phase=HOST, readings=readings, cpu=cpu
    )


def _cpu(head: Line) -> int:
    head.keys("index", "el")
    if head.count("el") not in _LEVELS:
        head.refuse("is of a kernel that runs where none can")
    return head.count("index")


def _readings(stream: Stream, cpu: int, lines: Sequence[Line]) -> dict[str, Reading]:
    """Read the registers of one CPU: each once, in their order, and just the caches that there are."""
    readings: dict[str, Reading] = {}
    expected = [*READINGS]
    for line in lines:
        wanted = expected[len(readings)] if len(readings) < len(expected) else "nothing more"
        if (line.kind, line.values.get("name"), line.values.get("cpu")) != ("reg", wanted, str(cpu)):
            line.refuse(f"is not the reading of {wanted} on CPU {cpu} that was expected")
        line.keys("cpu", "name", "value")
        readings[wanted] = Reading(value=line.hex("value"))
        if wanted == "CLIDR_EL1":
            selectors = sorted(cache.selector for cache in listed(line.hex("value")))
            expected += [ccsidr(selector) for selector in selectors]
    if len(readings) != len(expected):
        refuse(stream.source, f"has no reading of {expected[len(readings)]} on CPU {cpu}")
    return readings
