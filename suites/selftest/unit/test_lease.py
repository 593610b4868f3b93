"""Who has a machine: the machine is this system, and the controllers are processes that can be killed."""

import multiprocessing
import os
import re
import signal

import pytest
from msgspec.structs import replace

from ccsight.deadline import Deadline
from ccsight.errors import InfraError
from ccsight.evidence.record import to_json_line
from ccsight.machines.lease import BUSY, HELD, NONE, Holder, Lease, Place, Seen, Taken, mark, me, parse
from ccsight.machines.local import LocalHost

OTHER = "0123456789abcdef"
BOOT = "12345678-1234-1234-1234-123456789abc"
HOLDER = Holder(id=OTHER, owner="ada@lab", purpose="compare", boot_id=BOOT, uptime=100, process=1)
_FORK = multiprocessing.get_context("fork")


@pytest.fixture
def place(tmp_path):
    return Place("lab1", LocalHost(), file=str(tmp_path / "made" / "lease"))


@pytest.fixture
def controller(place):
    """Start controllers that have the machine; those that live are ended."""
    started = []

    def start(own, away=None):
        ours, theirs = _FORK.Pipe()
        child = _FORK.Process(target=_have, args=(place, own, away, theirs))
        child.start()
        started.append(child)
        assert ours.poll(20), "it was not given the machine"
        assert ours.recv() == "mine"
        return child

    yield start
    for child in started:
        child.kill()
        child.join()


def _have(place, own, away, pipe):
    """Have the machine until somebody kills this process."""
    with place.leased(own, "gate", Deadline(20)) as lease:
        if away is not None:
            lease.leave(away, Deadline(20))
        pipe.send("mine")
        signal.pause()


def wait_until_free(place):
    """A controller's shell on the machine ends when it sees the end of its input."""
    clock = Deadline(20)
    while look(place).word == BUSY:
        clock.check("the lease of a controller that was killed")


def look(place):
    return place.look(Deadline(20))


def test_a_machine_is_free_before_and_after(place):
    assert (look(place).word, look(place).holder) == (HELD, None)
    with place.leased(mark(), "compare", Deadline(20)) as lease:
        assert lease.before is None
        seen = look(place)
        assert (seen.word, seen.holder) == (BUSY, lease.holder)
        assert (lease.holder.owner, lease.holder.purpose) == (me(), "compare")
    assert (look(place).word, look(place).holder) == (HELD, None)


def test_a_second_controller_is_told_who_has_it(place, controller):
    controller(OTHER)
    with pytest.raises(Taken, match=r"lab1 is taken by .*@.*, for gate") as caught:
        with place.leased(mark(), "compare", Deadline(20)):
            pytest.fail("two have it")
    assert "release lab1 --force" in caught.value.next_step
    assert look(place).holder.id == OTHER


def test_a_killed_controller_has_nothing_any_more(place, controller):
    controller(OTHER).kill()
    wait_until_free(place)
    with place.leased(mark(), "compare", Deadline(20)) as lease:
        assert (lease.before.id, lease.before.purpose) == (OTHER, "gate")
        assert look(place).holder == lease.holder
    assert look(place).holder is None


def test_who_fails_with_it_gives_it_back(place):
    with pytest.raises(ZeroDivisionError), place.leased(mark(), "compare", Deadline(20)):
        raise ZeroDivisionError
    assert (look(place).word, look(place).holder) == (HELD, None)


def test_who_reboots_it_is_awaited_and_comes_back(place):
    own = mark()
    with place.leased(own, "compare", Deadline(20)) as lease:
        lease.leave(3600, Deadline(20))
    with pytest.raises(Taken, match="lab1 is taken") as caught, place.leased(OTHER, "gate", Deadline(20)):
        pytest.fail("it was taken from who is awaited")
    assert re.search(r"is awaited for 3[56]\d\d s more$", caught.value.evidence)
    assert caught.value.next_step.startswith("if that run has ended, you need not wait: ccsight machines rel")
    with place.leased(own, "compare", Deadline(20)) as lease:
        assert (lease.before, lease.holder.away) == (None, 0)
    assert look(place).holder is None


def test_who_was_killed_while_it_reboots_is_awaited_too(place, controller):
    controller(OTHER, away=3600).kill()
    wait_until_free(place)
    with pytest.raises(Taken, match="for gate"), place.leased(mark(), "compare", Deadline(20)):
        pytest.fail("it was taken from who is awaited")


def test_a_lease_is_taken_by_force(place, controller):
    controller(OTHER)
    place.take_away(look(place).holder, Deadline(20))
    assert (look(place).word, look(place).holder) == (HELD, None)


def test_force_is_for_the_one_who_was_seen(place, controller):
    gone = replace(HOLDER, process=os.getpid())
    controller(mark())
    with pytest.raises(Taken, match="for gate"):
        place.take_away(gone, Deadline(20))
    assert look(place).word == BUSY


def test_force_frees_what_was_left_by_who_is_awaited(place):
    with place.leased(OTHER, "compare", Deadline(20)) as lease:
        lease.leave(3600, Deadline(20))
    place.take_away(look(place).holder, Deadline(20))
    assert look(place).holder is None


@pytest.mark.parametrize(
    ("boot_id", "uptime", "holder", "awaited"),
    [
        ("same", 100, None, 0),
        ("same", 100, replace(HOLDER, boot_id="same"), 0),
        ("same", 150, replace(HOLDER, boot_id="same", away=60), 10),
        ("same", 160, replace(HOLDER, boot_id="same", away=60), 0),
        ("next", 59, replace(HOLDER, boot_id="same", away=60), 1),
        ("next", 60, replace(HOLDER, boot_id="same", away=60), 0),
    ],
)
def test_who_rebooted_is_awaited_by_the_uptime(boot_id, uptime, holder, awaited):
    assert Seen(HELD, boot_id, uptime, 1, holder).awaited == awaited


def test_there_is_no_lease_where_nobody_may_write_one(tmp_path):
    (tmp_path / "file").touch()
    place = Place("lab1", LocalHost(), file=str(tmp_path / "file" / "lease"))
    assert look(place).word == NONE
    with place.leased(mark(), "compare", Deadline(20)) as lease:
        assert lease is None


def test_what_cannot_be_written_down_is_said(place, tmp_path):
    with pytest.raises(InfraError, match="lab1: who has it cannot be written down") as caught:
        place.write(HOLDER, Deadline(20))
    assert "nonexistent" in caught.value.evidence or "No such file" in caught.value.evidence
    assert not (tmp_path / "made").exists()


def line(rest, word=b"held"):
    return word + b" " + BOOT.encode() + b" 17 4711 " + rest + b"\n"


def test_what_a_machine_says_is_read():
    assert parse(line(to_json_line(HOLDER).strip())) == Seen(HELD, BOOT, 17, 4711, HOLDER)
    assert parse(line(b"", b"none")) == Seen(NONE, BOOT, 17, 4711, None)


@pytest.mark.parametrize(
    "rest",
    [
        b"half of {",
        b'{"id": 1}',
        to_json_line(HOLDER).strip()[:-1],
        to_json_line(replace(HOLDER, owner="x" * 201)).strip(),
        to_json_line(replace(HOLDER, away=1 << 32)).strip(),
        b"\xff\xfe",
    ],
)
def test_half_a_record_is_nobodys(rest):
    assert parse(line(rest, b"busy")) == Seen(BUSY, BOOT, 17, 4711, None)


@pytest.mark.parametrize(
    "said", [b"", b"held\n", b"mine " + line(b"")[5:], line(b"")[:-1], line(b"x" * 2001), line(b"") * 2]
)
def test_what_no_script_of_ours_says_is_refused(said):
    with pytest.raises(InfraError, match="cannot be read"):
        parse(said)


def test_a_lease_knows_whose_it_is():
    assert str(HOLDER) == "ada@lab, for compare"
    assert Lease(None, HOLDER, None).holder is HOLDER
    assert len({mark() for _ in range(100)}) == 100
