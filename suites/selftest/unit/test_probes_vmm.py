"""A VMM on a host, driven through a shell: a made-up one on this system."""

import os
import sys
from pathlib import Path

import pytest
from fake_vmm import a_round

from ccsight.deadline import Deadline
from ccsight.errors import DeadlineExceeded, ProbeError
from ccsight.evidence.live import BACK
from ccsight.evidence.migrations import ARRIVED, KNOWN
from ccsight.evidence.views import Cell, Vantage
from ccsight.machines.local import LocalHost
from ccsight.probes import live
from ccsight.probes.runner import Probe
from ccsight.probes.vmm import Vmm, VmmGone

FAKE = (sys.executable, str(Path(__file__).with_name("fake_vmm.py")))
WORDS = "qemu-system-aarch64: Failed to load cpu:cpreg_vmstate_array_len"


def soon():
    return Deadline(30)


@pytest.fixture
def vmm(tmp_path):
    made = Vmm(LocalHost(), FAKE, str(tmp_path / "vmm"))
    yield made
    made.end(soon())


def test_it_starts_answers_and_ends(vmm):
    assert vmm.start([], soon()) == "10.0.13 Debian 1:10"
    assert vmm.ask("query-status", soon()) == {"status": "running", "running": True}
    said = vmm.wait_console(lambda console: console.count(b"@end") > 2, soon())
    assert live.last_round(said) == a_round(0x8444C004, 0x8444C004).encode()
    pid = int(Path(vmm.place, "pid").read_text())
    assert not vmm.gone(soon())
    vmm.end(soon())
    assert not Path(vmm.place).exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_command_that_is_refused(vmm):
    vmm.start([], soon())
    with pytest.raises(ProbeError) as caught:
        vmm.ask("nonsense", soon())
    assert caught.value.evidence == "The command nonsense has not been found"
    assert vmm.ask("query-status", soon())["running"], "one refusal ends nothing"


def test_one_that_does_not_start_is_gone_at_once_with_its_words(vmm):
    with pytest.raises(VmmGone) as caught:
        vmm.start(["-bad"], soon())
    assert caught.value.evidence == "fake-vmm: -bad: invalid option"
    assert vmm.gone(soon())


def test_one_that_ends_while_its_guest_runs(vmm):
    vmm.start([], soon())
    LocalHost().run(["sh", "-c", 'kill "$(cat "$0/pid")"', vmm.place], soon())
    with pytest.raises(VmmGone, match="while its guest ran"):
        vmm.wait_console(lambda _: False, soon())


def test_a_guest_that_says_nothing_ends_by_the_clock(vmm):
    vmm.start(["-incoming", "tcp:0:1"], soon())
    with pytest.raises(DeadlineExceeded):
        vmm.wait_console(bool, Deadline(0.5))


def test_what_is_there_already_is_not_driven_into(vmm):
    Path(vmm.place).mkdir()
    with pytest.raises(ProbeError, match="cannot be made"):
        vmm.start([], soon())


@pytest.fixture
def sides(tmp_path):
    cells = (Cell(machine="emulated:max", kernel=kernel) for kernel in ("deb:6.1", "deb:6.12"))
    probe = Probe(LocalHost(), str(tmp_path), {}, lambda name, content: None)
    return [live.Side(cell, probe, "192.0.2.2") for cell in cells]


def ctr(found, phase, vantage=Vantage.GUEST):
    (view,) = [view for view in found.views if (view.phase, view.vantage) == (phase, vantage)]
    return view.value("CTR_EL0")


def test_a_guest_that_arrives(sides, tmp_path):
    found = live.move(*sides, live.Setup(FAKE, live.bare), soon())
    assert (found.vmm, found.status, found.why) == ("QEMU 10.0.13 Debian 1:10", "completed", "")
    assert (found.arrived, found.returned, found.words) == (True, False, "")
    assert (ctr(found, KNOWN), ctr(found, ARRIVED)) == (0x8444C004, 0x9444C004)
    assert (found.before, found.after) == (a_round(0x8444C004, 0x8444C004), a_round(0x8444C004, 0x9444C004))
    assert ctr(found, ARRIVED, Vantage.GUEST_EL0) == 0x9444C004
    assert (found.source, found.destination) == (sides[0].cell, sides[1].cell)
    assert [path.name for path in tmp_path.iterdir()] == ["wire-4444"], "both VMMs have ended"


def test_a_guest_that_is_not_ours_is_only_listened_to(sides):
    found = live.move(*sides, live.Setup(FAKE, live.bare, ours=False), soon())
    assert (found.arrived, found.views) == (True, ())
    assert found.after != found.before


def test_a_guest_that_is_refused_goes_on_at_its_source(sides):
    setup = live.Setup((*FAKE, "--refuse", WORDS), live.bare)
    found = live.move(*sides, setup, soon())
    assert (found.status, found.arrived, found.returned, found.by_itself) == ("completed", False, True, False)
    assert (found.words, found.source_words) == (WORDS, "")
    assert (ctr(found, KNOWN), ctr(found, BACK)) == (0x8444C004, 0x8444C004)


def test_a_guest_that_goes_on_nowhere(sides, monkeypatch):
    monkeypatch.setattr(live, "SILENCE", 1.0)
    found = live.move(*sides, live.Setup((*FAKE, "--lose"), live.bare), soon())
    assert (found.status, found.arrived, found.returned) == ("completed", False, False)
    assert (found.after, found.views) == ("", ())


def test_a_vmm_that_does_not_run_the_guest_is_no_migration(sides):
    with pytest.raises(VmmGone):
        live.move(*sides, live.Setup((*FAKE, "-bad"), live.bare), soon())


def test_the_last_round_is_a_whole_one():
    one, other = (a_round(1, found).encode() for found in (2, 3))
    assert live.last_round(one[40:] + one + other + one[:-3]) == other
    for cut in (b"", one[:-3], one[40:]):
        with pytest.raises(ProbeError, match="no whole round"):
            live.last_round(cut)
