"""``capture --on NAME``: an emulated host known by its address, equal to a capture of it as what it is."""

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from alike import images, unlike
from inventory_host import Known, up
from slow_link import slow_link
from sshd import keygen

from ccsight.campaign.cell import CellTask, capture_cell
from ccsight.campaign.compare import Request, start
from ccsight.cli import run as ccsight
from ccsight.deadline import Deadline
from ccsight.errors import UsageError
from ccsight.evidence.model import Capture, Substrate
from ccsight.evidence.run import Run, find_run
from ccsight.kernels.spec import resolve
from ccsight.machines import inventory, registry, silicon

pytestmark = [pytest.mark.emulated, pytest.mark.long]

MACHINE, KERNEL = "emulated:neoverse-n1", "deb:6.12"
NAME = "box"
#: Lists what lies where the probe goes.
LEFT = ["ls", "-A", "/tmp"]  # noqa: S108


@dataclass(frozen=True)
class Standing:
    """A machine that has been booted already, and is captured as it stands."""

    known: Known
    spec: str = MACHINE
    seconds: float = 0.0

    @contextmanager
    def boot(self, order, deadline, report):
        yield self.known.booted
        shutil.copy(self.known.console, order.console)


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        with up(tmp_path_factory.mktemp("host"), MACHINE, KERNEL, patch) as host:
            yield host


@dataclass(frozen=True)
class Both:
    """The same boot captured by its address and as what it is; and what ccsight said of the former."""

    named: Capture
    own: Capture
    said: dict
    run: Run
    left: str


@pytest.fixture(scope="module")
def both(known, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    known.enter(NAME)
    out, said = folder / "named", folder / "said.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ccsight.report.console.write_bytes", said.write_bytes)
        assert ccsight(["capture", "--on", NAME, "--json", "--out", str(out)]) == 0
    left = known.booted.host.run(LEFT, Deadline(20)).text
    named = find_run(out)
    own, kernels = start(folder / "own", Request((KERNEL,), (MACHINE,), (), silicon.load(None)))
    (cell,) = own.plan.cells
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "machine", lambda *_: Standing(known))
        assert capture_cell(CellTask(own.folder, cell, kernels[cell.kernel]), print) is None
    found = json.loads(said.read_text())
    return Both(named.capture(named.plan.cells[0]), own.capture(cell), found, named, left)


def test_both_ways_see_the_same(both):
    assert both.named.machine.boot_id == both.own.machine.boot_id  # so the random values are the same
    assert unlike(both.named, both.own) == ()


def test_that_is_more_than_nothing(both):
    assert len(both.named.views) > 5
    assert len(both.named.writes) > 500
    assert both.named.failures == {}
    assert images(both.named) == images(both.own) != {}


def test_the_kernel_is_pinned_by_what_it_says_of_itself(both):
    planned = both.run.plan.kernels[0]
    assert planned.pin == f"running:{NAME},build-id={both.named.kernel.build_id}"
    assert (both.named.kernel.spec, both.named.machine.spec) == (f"running:{NAME}", NAME)
    assert both.named.kernel.build_id == both.own.kernel.build_id


def test_nobody_knows_that_it_is_an_emulator(both):
    assert both.named.machine.substrate is Substrate.VIRTUAL


def test_the_laws_hold_and_the_log_was_read(both):
    assert (both.said["status"], both.said["exit_code"]) == ("PASS", 0)
    laws = {case["check"]: case["status"] for case in both.said["machines"][0]["laws"]}
    assert laws["CR-017"] == "PASS"
    assert both.named.console.mode == "VHE"


def test_nothing_is_left_there(both):
    assert both.left == ""


def test_what_a_killed_run_left_is_taken_away_a_day_later(known):
    host = known.booted.host
    made = "mkdir ccsight-0a ccsight-0b other && touch .ccsight-0c.tar"
    old = "touch -d '2020-01-01 00:00' ccsight-0a other .ccsight-0c.tar"
    assert host.run(["sh", "-c", f"cd /tmp && {made} && {old}"], Deadline(20)).returncode == 0
    known.enter(NAME)
    resolve(f"running:{NAME}", Deadline(60), print)
    assert host.run(LEFT, Deadline(20)).text.split() == ["ccsight-0b", "other"]
    host.run(["sh", "-c", "cd /tmp && rm -r ccsight-0b other"], Deadline(20))


def test_another_boot_than_the_planned_one_is_refused(known):
    known.enter(NAME)
    with pytest.raises(UsageError, match="box runs another kernel than when the run was planned"):
        resolve(f"running:{NAME},build-id={'0' * 40}", Deadline(60), print)


def test_another_host_key_observes_nothing(known, tmp_path, capsys):
    known.enter(NAME)
    text = inventory.file().read_text()
    inventory.file().write_text(text.replace(known.host_key, keygen(tmp_path / "other")))
    assert ccsight(["capture", "--on", NAME, "--out", str(tmp_path / "out")]) == 3
    assert "box shows another host key than the one that is known of it" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_it_is_checked(known, capfdbinary):
    known.enter(NAME)
    assert ccsight(["machines", "check", NAME, "--json"]) == 0
    (machine,) = json.loads(capfdbinary.readouterr().out)["machines"]
    words = {ability["name"]: ability["word"] for ability in machine["abilities"]}
    assert machine["usable"] is True
    needed = {ability["name"] for ability in machine["abilities"] if ability["needed"]}
    assert needed == {"reach", "host key", "arm64", "KVM", "room in /tmp"}
    assert {words[name] for name in needed} == {"yes"}
    assert (words["root"], words["boot by grub"], words["reboots"]) == ("yes", "no", "no")


def test_a_slow_link_costs_few_round_trips(known, tmp_path):
    """What a capture takes on a link is that count; nobody's clock is asked."""
    with slow_link(known.port, 0.01) as link:
        known.enter(NAME, port=link.port)
        assert ccsight(["capture", "--on", NAME, "--json", "--out", str(tmp_path / "out")]) == 0
        assert link.connections == 2
        assert link.turns < 60
