"""The bare guests under QEMU alone: no host, no KVM, whichever console the device tree names."""

import pytest
from devicetree import Tree, address, pl011, root

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.evidence.guests import SELECTORS_EL1, set_way
from ccsight.probes import build, guests
from ccsight.probes.stream import parse
from ccsight.probes.sweep import round_readings
from ccsight.probes.views import guest_body, guest_views
from ccsight.toolbox.qemu import qemu

pytestmark = pytest.mark.emulated

#: Where QEMU's virt machine has its PL011, where it has nothing, and where it has memory.
CONSOLE, NOTHING, MEMORY = 0x900_0000, 0xA80_0000, 0x4800_0000


@pytest.fixture(scope="module")
def ran():
    deadline = Deadline(300)
    tool, folder = qemu(deadline, print), build.built(deadline)

    def say(guest: str, *options: str) -> bytes:
        argv = [*tool.argv, "-M", "virt", "-cpu", "cortex-a57", "-nographic", "-net", "none"]
        argv += ["-monitor", "none", "-kernel", str(folder / f"{guest}.img"), *options]
        child = process.spawn(argv, process.Streams(stdout=process.PIPE))
        try:
            return child.communicate(timeout=20)[0]
        finally:
            child.kill()

    return say


@pytest.fixture
def with_tree(ran, tmp_path):
    def say(tree: Tree, *options: str) -> bytes:
        blob = tmp_path / "tree.dtb"
        blob.write_bytes(tree.blob())
        return ran("view", "-dtb", str(blob), *options)

    return say


def test_the_guests_say_what_a_cortex_a57_has(ran):
    assert guest_views(parse(ran("view"), "QEMU"), 0)[0].value("CLIDR_EL1") == 0x0A200023
    assert round_readings(parse(ran("sweep"), "QEMU"))[0]["CLIDR_EL1"].value == 0x0A200023


def test_the_guests_with_odd_questions_get_to_their_end(ran):
    el1, el0 = guests.selectors_readings(guest_body(parse(ran("selectors"), "QEMU"), "selectors", 0))
    assert tuple(el1) == SELECTORS_EL1
    assert el0["CTR_EL0 UCT=0"].problem == "TRAPPED"
    loops = guests.setway_readings(guest_body(parse(ran("setway"), "QEMU"), "setway", 0))
    assert loops[set_way("L1D")].value == 512


def test_a_guest_that_is_entered_at_el2_goes_down_and_reads_there_too(ran):
    said = parse(ran("features", "-machine", "virtualization=on"), "QEMU")
    body = guest_body(said, "features", 0)
    assert {line.values["value"] for line in body if line.values.get("name") == "CLIDR_EL1"} == {"0xa200023"}
    assert [line.values["el"] for line in body if line.kind == "reg"] == ["1", *["2"] * 17]


def test_the_console_is_the_device_tree_s(with_tree):
    said = with_tree(root().node("pl011@9000000", **pl011(CONSOLE)).end())
    assert guest_views(parse(said, "QEMU"), 0)
    assert with_tree(root().node("pl011@9000000", **pl011(NOTHING)).end()) == b""


def test_without_a_console_in_the_tree_the_board_s_is_taken(with_tree):
    assert guest_views(parse(with_tree(root().end()), "QEMU"), 0)


def test_an_8250_is_written_when_it_is_ready(with_tree):
    """It is memory, in which the line status register says for ever that there is room."""
    uart = {"compatible": "ns16550a", "reg": address(MEMORY)}
    ready = f"loader,addr={MEMORY + 5:#x},data=0x20,data-len=1"
    assert with_tree(root().node("serial@48000000", **uart).end(), "-device", ready) == b""
