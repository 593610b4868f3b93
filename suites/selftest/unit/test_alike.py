"""The comparison of two captures of one boot: it must see whatever differs, and nothing else."""

import msgspec
from alike import images, unlike
from recorded import capture

from ccsight.evidence.model import Console, Substrate
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Cell

ONE = capture("neoverse-n1", "6.12")


def test_a_capture_is_like_itself_however_it_was_taken():
    other = msgspec.structs.replace(
        ONE,
        cell=Cell(machine="local", kernel="running"),
        kernel=msgspec.structs.replace(ONE.kernel, spec="running", label="running", image_sha256=""),
        machine=msgspec.structs.replace(ONE.machine, spec="local", substrate=Substrate.VIRTUAL, argv=()),
        seconds={"view": 99.0},
        programs={**images(ONE), "ccprobe.so": "0"},
        console=Console(file="other.log", lines=ONE.console.lines + 1, splats=(), mode=ONE.console.mode),
    )
    assert unlike(ONE, other) == ()
    assert images(other) == images(ONE)


def test_another_value_is_named_with_both():
    view = ONE.views[1]
    name = next(name for name, reading in view.readings.items() if reading.value is not None)
    was = view.readings[name].value
    readings = view.readings | {name: msgspec.structs.replace(view.readings[name], value=Hex(was ^ 1))}
    changed = msgspec.structs.replace(view, readings=readings)
    other = msgspec.structs.replace(ONE, views=(ONE.views[0], changed, *ONE.views[2:]))
    assert unlike(ONE, other) == (f"views[1].readings.{name}.value: {was:#x} / {was ^ 1:#x}",)


def test_what_is_missing_is_named():
    fewer = msgspec.structs.replace(ONE, writes=ONE.writes[:-1], views=ONE.views[:-2])
    said = unlike(ONE, fewer)
    assert said == (
        f"views: {len(ONE.views)} of them / {len(ONE.views) - 2} of them",
        f"writes: {len(ONE.writes)} of them / {len(ONE.writes) - 1} of them",
    )


def test_another_kernel_is_not_alike():
    assert any(line.startswith("kernel.build_id") for line in unlike(ONE, capture("neoverse-n1", "6.1")))
