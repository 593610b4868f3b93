"""The vantage ``hardware``: our module in real kernels that were built here. Minutes when cold."""

import re

import pytest
from command import ccsight

from ccsight.deadline import Deadline
from ccsight.evidence.run import find_run
from ccsight.evidence.views import Vantage
from ccsight.kernels.spec import resolve
from ccsight.paths import cache_dir

pytestmark = [pytest.mark.emulated, pytest.mark.long]

SOURCE = "deb-src:6.12"
#: CTR_EL0, CLIDR_EL1 and CCSIDR_EL1[0..2] of two models: as QEMU's source has them, not KVM.
EXPECTED = {
    "emulated:neoverse-n1": (0x8444C004, 0x82000023, 0x701FE01A, 0x201FE01A, 0x70FFE03A),
    "emulated:neoverse-v1,mode=nvhe": (0xB444C004, 0x82000023, 0xFF0000001A, 0xFF0000001A, 0x7FF0000003A),
    "emulated:neoverse-v1,cpus=4": (0xB444C004, 0x82000023, 0xFF0000001A, 0xFF0000001A, 0x7FF0000003A),
    "emulated:neoverse-n1,modules=off": None,
    # silicon: the plugin overrides what the host's own kernel reads, too
    "silicon:graviton4": (0xB444C004, 0x82000023, 0xFF0000001A, 0xFF0000001A, 0xFFF0000003A),
}
NAMES = ("CTR_EL0", "CLIDR_EL1", "CCSIDR_EL1[0]", "CCSIDR_EL1[1]", "CCSIDR_EL1[2]")


@pytest.fixture(scope="module")
def captures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hardware")
    machines = [word for machine in EXPECTED for word in ("--on", machine)]
    said = ccsight("compare", SOURCE, "deb:6.12", *machines, cwd=folder, seconds=1500)
    assert said.code == 0, said.stderr
    run = find_run(folder / "results")
    return {cell: run.capture(cell) for cell in run.plan.cells}


@pytest.mark.parametrize("machine", EXPECTED)
def test_the_physical_cpus_are_seen_where_a_module_may_be_loaded(captures, machine):
    for cell, capture in captures.items():
        if cell.machine != machine:
            continue
        views = [view for view in capture.views if view.vantage is Vantage.HARDWARE]
        if cell.kernel == "deb:6.12" or EXPECTED[machine] is None:
            assert not views
            assert "hardware" not in capture.seconds
            continue
        assert [view.cpu for view in views] == list(range(len(capture.machine.cpus)))
        for view, cpu in zip(views, capture.machine.cpus, strict=True):
            assert tuple(map(view.value, NAMES)) == EXPECTED[machine]
            assert (view.value("MIDR_EL1"), view.value("REVIDR_EL1")) == (cpu.midr, cpu.revidr)
        assert re.fullmatch("[0-9a-f]{64}", capture.programs["ccsight_hardware.ko"])


def test_the_module_tells_nothing_of_where_it_was_built():
    kernel = resolve(SOURCE, Deadline(1500), print)
    assert kernel.hardware_module is not None
    content = kernel.hardware_module.read_bytes()
    assert str(cache_dir()).encode() not in content
    assert b"guests/module" not in content
