"""QEMU with KVM on two emulated hosts, each with another kernel: live migration both ways, by two versions.

What becomes of the guest must be what the rows of kvm/vmms.py say of ccprobe's restores on the same hosts,
of a VM with a PMU, as QEMU's has one.
"""

from dataclasses import dataclass

import pytest
from vmm_hosts import LIMIT, qemu, setup, sides

from ccsight.arm64.kvm_ids import name
from ccsight.checks.live import disagreements
from ccsight.deadline import Deadline
from ccsight.evidence.live import BACK
from ccsight.evidence.migrations import ARRIVED, AS_LAUNCHED, KNOWN, Way
from ccsight.evidence.views import Vantage
from ccsight.kvm import qemu_words
from ccsight.kvm.vmms import Move, of_qemu
from ccsight.probes import live, restoring, saving, vms
from ccsight.probes.vmm import Vmm

pytestmark = [pytest.mark.emulated, pytest.mark.long]

SERIES = ("7.2", "11.1")
WAYS = ("up", "down")
#: Moves until one is lost: that takes a source that is faster than its destination.
TRIES = 4


@dataclass(frozen=True)
class Row:
    """Two kernels on a CPU model; where the guest arrives: (way, series)."""

    model: str
    old: str
    new: str
    arrives: frozenset[tuple[str, str]] = frozenset()

    def way(self, way):
        return (self.old, self.new) if way == "up" else (self.new, self.old)


ROWS = (
    # What the guest reads of CTR_EL0 changes, no register is in the way.
    Row("neoverse-n1", "deb:6.1", "deb:6.12", frozenset({("up", "7.2"), ("up", "11.1")})),
    # FEAT_CCIDX is hidden by the new kernel: in the way both times.
    Row("neoverse-v1", "deb:6.1", "deb:6.12"),
    # 11.1 tolerates the registers that the new kernel lists no more, but not its PSCI version.
    Row("neoverse-n1", "deb:6.12", "deb:7.3", frozenset({("up", "11.1")})),
)


@dataclass(frozen=True)
class Pair:
    """Two hosts, and what ccprobe's restores say of each way between them."""

    row: Row
    sides: dict[str, live.Side]
    moves: dict[str, Move]

    def ends(self, way):
        return tuple(self.sides[kernel] for kernel in self.row.way(way))


@pytest.fixture(scope="module", params=ROWS, ids=lambda row: f"{row.model}-{row.old}-{row.new}")
def pair(request, tmp_path_factory):
    row, folder = request.param, tmp_path_factory.mktemp("live")
    spec = f"emulated:{row.model},memory=768"
    with sides(spec, (row.old, row.new), [qemu(series) for series in SERIES], folder) as found:
        deadline = Deadline(LIMIT)
        saved = {
            kernel: saving.save(side.probe, launch(side.probe, deadline), deadline)
            for kernel, side in found.items()
        }
        moves = {}
        for way in WAYS:
            source, destination = row.way(way)
            state = restoring.State(
                found[source].cell, AS_LAUNCHED, saved[source].sha256, folder / source / saved[source].file
            )
            targets = [restoring.Target(how, 0) for how in Way]
            arrived = restoring.restore(found[destination].probe, state, targets, deadline)
            restored = {each.way: each for each in arrived}
            moves[way] = Move(restored, len(saved[source].ids), restored[Way.LIST].listed)
        yield Pair(row, found, moves)


def launch(probe, deadline):
    made_of = vms.possible(probe, deadline)
    assert made_of == vms.WITH_PMU, "these kernels have a PMU for VMs"
    return saving.Launch(AS_LAUNCHED, 0, made_of=made_of)


def ctr(found, phase):
    (view,) = [view for view in found.views if (view.phase, view.vantage) == (phase, Vantage.GUEST)]
    return view.value("CTR_EL0")


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("way", WAYS)
def test_qemu_does_what_was_predicted(pair, way, series):
    found = live.move(*pair.ends(way), setup(series), Deadline(LIMIT))
    assert found.vmm.startswith(f"QEMU {series}.")
    number = tuple(map(int, series.split(".")))
    assert disagreements(of_qemu(number), pair.moves[way], found) == (), found.words
    assert found.arrived == ((way, series) in pair.row.arrives)
    if not found.arrived:
        assert ctr(found, KNOWN) == ctr(found, BACK), "the guest goes on at its source, and notices nothing"
    elif pair.row.old == "deb:6.1":
        assert (ctr(found, KNOWN), ctr(found, ARRIVED)) == (0x8444C004, 0x9444C004)
    if series == "11.1" and not found.arrived:
        assert qemu_words.refused(found.words)


def test_with_a_return_path_the_source_knows_and_the_guest_goes_on_by_itself(pair):
    found = live.move(*pair.ends("down"), setup("7.2", "return-path"), Deadline(LIMIT))
    assert (found.status, found.arrived, found.by_itself) == ("failed", False, True)


def test_without_a_return_path_the_source_takes_a_refused_guest_for_arrived(pair):
    """Unless the destination is gone before all was sent: then the source knows, as it does with one."""
    known, lost = ("failed", False, True), ("completed", False, False)
    seen = []
    while len(seen) < TRIES and lost not in seen:
        found = live.move(*pair.ends("down"), setup("7.2"), Deadline(LIMIT))
        seen.append((found.status, found.arrived, found.by_itself))
    assert lost in seen
    assert set(seen) <= {known, lost}


@pytest.mark.parametrize(("cpu", "unknown"), [("host,pmu=off", []), ("host", ["PMMIR_EL1"])])
def test_a_guest_that_was_launched_for_the_roll_back_arrives(pair, cpu, unknown):
    """QEMU 11.1.2 even takes it where it says that a register is unknown, and "fail migration"."""
    if pair.row.new != "deb:7.3":
        pytest.skip("QEMU can hide what 7.3 has beyond 6.12, but nothing of what 6.12 has beyond 6.1")
    hidden = setup("11.1", cpu=f"{cpu},kvm-psci-version=1.1")
    found = live.move(*pair.ends("down"), hidden, Deadline(LIMIT))
    assert (found.status, found.arrived) == ("completed", True), found.words
    assert [*map(name, qemu_words.unknown(found.words))] == unknown
    assert ("fail migration" in found.words) == bool(unknown)


def test_a_destination_that_is_lost_half_way_does_not_take_the_guest_with_it(pair):
    deadline = Deadline(LIMIT)
    source, destination = pair.ends("up")
    argv = setup("7.2").argv
    here = Vmm(source.probe.host, argv, source.probe.path("lost-source"))
    there = Vmm(destination.probe.host, argv, destination.probe.path("lost-destination"))
    try:
        here.start(live.bare(source.probe), deadline)
        before = here.wait_console(lambda said: said.count(b"@end") > 2, deadline).count(b"@end")
        there.start([*live.bare(destination.probe), "-incoming", "tcp:0:4445"], deadline)
        here.ask("migrate-set-parameters", deadline, **{"max-bandwidth": 10_000})
        here.ask("migrate", deadline, uri=f"tcp:{destination.address}:4445")
        while here.ask("query-migrate", deadline).get("status") != "active":
            deadline.check("the beginning of the migration")
        there.end(deadline)
        while (status := here.ask("query-migrate", deadline)["status"]) in ("active", "device"):
            deadline.check("the end of the migration")
        assert status == "failed"
        assert here.ask("query-status", deadline)["status"] == "running"
        here.wait_console(lambda said: said.count(b"@end") > before + 5, deadline)
    finally:
        here.end(deadline)
        there.end(deadline)
