"""Captures from streams that were recorded on real boots, and ways to bend them."""

import gzip
from functools import cache
from pathlib import Path

import msgspec

from ccsight.evidence.migrations import Restored, Saved
from ccsight.evidence.model import SCHEMA, Capture, Console, KernelFacts, MachineFacts, Substrate
from ccsight.evidence.record import Hex, T, from_json
from ccsight.evidence.views import LAUNCH, Cell, Reading, Vantage, View, Write
from ccsight.kvm.lives import SIZES, Life
from ccsight.probes import guests, life
from ccsight.probes.identity import identity
from ccsight.probes.script import results
from ccsight.probes.stream import parse
from ccsight.probes.sweep import swept
from ccsight.probes.views import observed

STREAMS = Path(__file__).parent.parent / "recorded"
MODELS = ("cortex-a57", "neoverse-n1", "neoverse-v1")
SERIES = ("6.1", "6.12")


@cache
def capture(model: str, series: str) -> Capture:
    """Return the capture of a recorded boot. All tests have the same one: what bends it makes another."""
    folder = STREAMS / f"{model}-{series}"
    who = identity(parse((folder / "identity.stream").read_bytes(), "identity"))
    seen = observed(parse((folder / "view.stream").read_bytes(), "view"))
    everywhere = swept(parse((folder / "sweep.stream").read_bytes(), "sweep"))
    living = lived(model, series)
    cell = Cell(machine=f"emulated:{model}", kernel=f"deb:{series}")
    return Capture(
        schema=SCHEMA,
        cell=cell,
        kernel=KernelFacts(
            spec=cell.kernel,
            label=cell.kernel,
            release=who.release,
            banner=who.banner,
            build_id=who.build_id,
            image_sha256="0" * 64,
        ),
        machine=MachineFacts(
            spec=cell.machine,
            substrate=Substrate.EMULATED,
            compatible=who.compatible,
            boot_id=who.boot_id,
            command_line=who.command_line,
            cpus=who.cpus,
            cpu_features=who.cpu_features,
        ),
        views=seen.views + everywhere.views + living.views + odd(model, series),
        register_lists=seen.register_lists,
        programs={},
        seconds={},
        writes=everywhere.writes + writes(model, series) + living.writes,
        saved=moved(model, series, "saved", tuple[Saved, ...]),
        restored=moved(model, series, "restored", tuple[Restored, ...]),
        console=Console(file=f"consoles/{cell.id}-1.log", lines=312, splats=()),
    )


@cache
def odd(model: str, series: str) -> tuple[View, ...]:
    """Return what the guests with odd questions saw in a boot of the same machine."""
    asked = guests.guests()
    said = parse((STREAMS / f"{model}-{series}" / "guests.stream").read_bytes(), "guests")
    return guests.views(asked, results(said, asked.script))


@cache
def writes(model: str, series: str) -> tuple[Write, ...]:
    """Return what was written in a boot of the same machine: the whole table, and 300 random values."""
    packed = (STREAMS / f"{model}-{series}" / "writes.json.gz").read_bytes()
    return from_json(gzip.decompress(packed), tuple[Write, ...])


@cache
def moved(model: str, series: str, name: str, kind: type[T]) -> T:
    """Return the VMs that were saved, or what became of those that were restored, on the same machine."""
    return from_json(gzip.decompress((STREAMS / f"{model}-{series}" / f"{name}.json.gz").read_bytes()), kind)


@cache
def lived(model: str, series: str) -> life.Lived:
    """Return the lives of vCPUs in a boot of the same machine."""
    smallest, *larger = (Life(size, overridden=True) for size in SIZES)
    scripts = {
        "life": [*(Life(size, overridden=False) for size in SIZES), smallest],
        "life-overridden": larger,
    }
    found = life.Lived((), ())
    for name, lives in scripts.items():
        path = STREAMS / f"{model}-{series}" / f"{name}.stream.gz"
        if path.exists():
            asked, read = life.script(lives, 0)
            part = read(results(parse(gzip.decompress(path.read_bytes()), name), asked))
            found = life.Lived(found.views + part.views, found.writes + part.writes)
    return found


def bent(capture: Capture, vantage: Vantage, vcpu: int, **readings: int | str | None) -> Capture:
    """Return a capture in which some readings of one view of the launch are others.

    A number is a value, a string a problem, None removes the reading. ``CCSIDR_EL1_2`` is ``CCSIDR_EL1[2]``.
    """
    views = []
    for view in capture.views:
        new = dict(view.readings)
        if (view.phase, view.vantage, view.vcpu) == (LAUNCH, vantage, vcpu):
            for key, value in readings.items():
                name = f"CCSIDR_EL1[{key[11:]}]" if key.startswith("CCSIDR_EL1_") else key
                if value is None:
                    del new[name]
                else:
                    new[name] = (
                        Reading(problem=value) if isinstance(value, str) else Reading(value=Hex(value))
                    )
        views.append(msgspec.structs.replace(view, readings=new))
    return msgspec.structs.replace(capture, views=tuple(views))


def without(capture: Capture, vantage: Vantage) -> Capture:
    """Return a capture in which nobody looked from a vantage."""
    return msgspec.structs.replace(
        capture, views=tuple(view for view in capture.views if view.vantage is not vantage)
    )
