"""Machines that labgrid lends, at a real coordinator and exporter: nobody has one beside us, none is kept."""

import os
import signal
import socket
import sys
import threading

import pytest
from labgrid_lab import exported, lab, until

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import InfraError, UsageError
from ccsight.machines import console_command, labgrid_client, power
from ccsight.machines.checking import check
from ccsight.machines.inventory import read
from ccsight.machines.labgrid_client import LabgridFailed
from ccsight.machines.labgrid_place import LabgridPlace
from ccsight.machines.lease import BUSY, HELD, Taken
from ccsight.machines.leasing import lent
from ccsight.process import PIPE, Streams

pytestmark = pytest.mark.emulated

#: Has the place of an entry until it is killed.
HOLDS = """
import sys, time
from ccsight.deadline import Deadline
from ccsight.machines.inventory import read
from ccsight.machines.leasing import lent
with lent(read(sys.argv[1], "machines.toml")["altra"], "a long boot", Deadline(60), print):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    with lab(tmp_path_factory.mktemp("labgrid")) as found:
        yield found


@pytest.fixture(autouse=True)
def ann(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LG_HOSTNAME", "here")
    be(monkeypatch, "ann")


def be(monkeypatch, user):
    monkeypatch.setenv("LG_USERNAME", user)


def only(line):
    return read(f'[altra]\naddress = "h"\nlabgrid = "p"\n{line}\n', "machines.toml")["altra"]


def place(there, name, said=None, patience=2.0):
    return LabgridPlace(there.entry(name), [].append if said is None else said.append, patience)


def acquired(there, name):
    return labgrid_client.Client(there.address).place(name, Deadline(20)).acquired


@pytest.mark.parametrize("ends", [None, ValueError])
def test_a_place_is_ours_while_it_lasts_and_given_back_whatever_happens(there, ends):
    name = there.add("failed" if ends else "ended")
    told, threads = [], threading.active_count()
    try:
        with lent(there.entry(name), "a boot", Deadline(60), told.append):
            assert acquired(there, name) == "here/ann"
            if ends:
                raise ends
    except ValueError:
        assert ends
    assert acquired(there, name) == ""
    assert told == []
    assert threading.active_count() == threads


def test_who_comes_second_is_told_who_has_it(there, monkeypatch):
    name = there.add("two")
    with place(there, name).leased("a", "a boot", Deadline(60)):
        be(monkeypatch, "bob")
        second = place(there, name)
        assert second.look(Deadline(20)).word == BUSY
        with (
            pytest.raises(Taken, match="altra is taken by ann@here") as caught,
            second.leased("b", "a boot", Deadline(60)),
        ):
            pytest.fail("both have it")
        assert f"place {name} of labgrid's coordinator {there.address}" in caught.value.evidence
        assert "Reservation" not in there.ask("", "reservations")
        be(monkeypatch, "ann")
    assert acquired(there, name) == ""


def test_check_says_whether_labgrid_would_lend_it(there):
    name = there.add("checked")
    free, *_ = check([there.entry(name)])[0].abilities
    assert (free.name, free.word, free.why) == ("labgrid", "yes", f"place {name} is free")
    there.ask(name, "acquire", user="bob")
    had, *_ = check([there.entry(name)])[0].abilities
    assert (had.word, had.needed) == ("no", False)
    assert had.why.startswith(f"place {name} is had by bob@")


def test_two_of_one_user_are_two(there):
    name = there.add("twins")
    with place(there, name).leased("a", "the first boot", Deadline(60)):
        with pytest.raises(Taken, match="taken by ann@here, for the first boot"):
            with place(there, name).leased("b", "the second", Deadline(60)):
                pytest.fail("both have it")
    assert acquired(there, name) == ""


def test_who_waits_gets_it_once_it_is_free(there):
    name, said = there.add("awaited"), []
    there.ask(name, "acquire", user="bob")
    freeing = threading.Thread(target=lambda: there.ask(name, "release", user="bob"))

    def report(line):
        said.append(line)
        freeing.start()

    with LabgridPlace(there.entry(name), report).leased("a", "a boot", Deadline(200)):
        assert acquired(there, name) == "here/ann"
        assert "Reservation" not in there.ask("", "reservations")
    freeing.join()
    assert said == ["altra: waiting for bob@here, for a purpose that labgrid is not told"]
    assert acquired(there, name) == ""


def test_who_reserved_it_is_named_and_can_be_set_aside(there):
    name = there.add("reserved")
    there.ask("", "reserve", f"name={name}", user="bob")
    mine = place(there, name)
    with pytest.raises(Taken, match="bob@here, for a reservation"):
        with mine.leased("a", "a boot", Deadline(60)):
            pytest.fail("it was reserved")
    mine.take_away(mine.look(Deadline(20)).holder, Deadline(60))
    assert mine.look(Deadline(20)).holder is None


def test_what_was_acquired_by_hand_is_used_and_stays(there):
    name = there.add("by-hand")
    there.ask(name, "acquire")
    with place(there, name).leased("a", "a boot", Deadline(60)) as held:
        assert held.before is None
    assert acquired(there, name) == "here/ann"


def test_a_killed_controller_leaves_its_name_and_the_next_one_gives_it_back(there):
    name = there.add("killed")
    text = f'[altra]\naddress = "h"\nlabgrid = "{name}"\nlabgrid-coordinator = "{there.address}"\n'
    holder = process.spawn([sys.executable, "-c", HOLDS, text], Streams(stdout=PIPE))
    assert holder.stdout.readline() == b"held\n"
    os.kill(holder.pid, signal.SIGKILL)
    process.end(holder)
    holder.stdout.close()
    assert acquired(there, name) == "here/ann"
    with place(there, name).leased("a", "a boot", Deadline(60)) as held:
        assert str(held.before) == "ann@here, for a long boot"
    assert acquired(there, name) == ""


def test_it_is_taken_away_from_whom_was_meant_only(there):
    name = there.add("taken-away")
    there.ask(name, "acquire", user="bob")
    mine = place(there, name)
    seen = mine.look(Deadline(20))
    assert str(seen.holder) == "bob@here, for a purpose that labgrid is not told"
    there.ask(name, "release", user="bob")
    there.ask(name, "acquire", user="eve")
    with pytest.raises(Taken, match="eve@here"):
        mine.take_away(seen.holder, Deadline(60))
    assert acquired(there, name) == "here/eve"
    mine.take_away(mine.look(Deadline(20)).holder, Deadline(60))
    assert mine.look(Deadline(20)).word == HELD


@pytest.mark.parametrize("next_one", ["", "bob"])
def test_that_it_was_taken_away_meanwhile_is_told(there, next_one):
    name, told = there.add(f"kicked-{next_one}"), []
    with lent(there.entry(name), "a boot", Deadline(60), told.append):
        there.ask(name, "release", "--kick", user="eve")
        if next_one:
            there.ask(name, "acquire", user=next_one)
    now = "acquired by here/bob" if next_one else "free"
    assert told == [f"altra was taken away meanwhile; it is {now} now"]
    assert acquired(there, name) == (next_one and "here/bob")


def test_a_place_that_is_not_there_names_the_nearest(there):
    there.add("graviton-4")
    for name in ("gravitn-4", "graviton"):  # labgrid's client takes half a name for the whole
        with pytest.raises(UsageError, match=f"has no place '{name}'") as caught:
            with place(there, name).leased("a", "a boot", Deadline(60)):
                pytest.fail("it is another one")
        assert "graviton-4" in caught.value.evidence


def test_a_coordinator_that_is_not_there_is_one_message():
    text = 'labgrid-coordinator = "127.0.0.1:9"'
    with pytest.raises(LabgridFailed, match=r"labgrid at 127\.0\.0\.1:9") as caught:
        with lent(only(text), "a boot", Deadline(60), print):
            pytest.fail("nobody lent it")
    assert "Could not connect to coordinator" in caught.value.evidence


def test_a_coordinator_that_never_answers_ends_by_the_clock(there):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        text = f'labgrid-coordinator = "127.0.0.1:{mute.getsockname()[1]}"'
        with pytest.raises(InfraError):
            LabgridPlace(only(text), print).look(Deadline(3))


def test_a_coordinator_that_dies_meanwhile_is_reported_and_the_work_is_kept(tmp_path):
    told = []
    with lab(tmp_path) as dying:
        entry = dying.entry(dying.add("dying"))
        with lent(entry, "a boot", Deadline(60), told.append):
            dying.kill()
    assert [line.partition(" may")[0] for line in told] == ["altra: its place dying"]
    assert "the next run gives it back" in told[0]


def test_power_and_console_are_those_of_the_place(there, tmp_path, monkeypatch):
    tool = tmp_path / "microcom"  # what labgrid's client starts for a console; the line is the exporter's
    tool.write_text(
        f"#!{sys.executable}\nimport socket, sys\nto = sys.argv[sys.argv.index('-t') + 1].split(':')\n"
        "peer = socket.create_connection((to[0], int(to[1])))\n"
        "while said := peer.recv(4096):\n    print(said.decode(), end='', flush=True)\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    name = there.add("wired")
    entry = there.entry(name)
    with exported(there):
        there.ask(name, "add-match", "shelf/rack/*")
        with pytest.raises(power.PowerFailed, match="status 1"):
            power.cycle(entry.power, Deadline(30))
        log = tmp_path / "console.log"
        with lent(entry, "a boot", Deadline(60), print):
            power.cycle(entry.power, Deadline(30))
            with console_command.kept(entry.console, log):
                until(lambda: b"Booting Linux" in log.read_bytes())
        assert there.switched == ["/4/0", "/4/1"]
        assert acquired(there, name) == ""


def test_a_place_without_its_exporter_is_not_lent(there):
    name = there.add("bare")
    there.ask(name, "add-match", "nobody/rack/*")
    with pytest.raises(LabgridFailed, match="though nobody has it") as caught:
        with place(there, name).leased("a", "a boot", Deadline(60)):
            pytest.fail("it has no resource")
    assert "nobody/rack" in caught.value.evidence
