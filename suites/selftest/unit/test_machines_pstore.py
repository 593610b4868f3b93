"""What a kernel left in persistent storage: only what is new, bounded, and nothing is touched."""

import os

import pytest

from ccsight.deadline import Deadline
from ccsight.errors import HostLost, HostRefused
from ccsight.evidence.manifest import belongs
from ccsight.machines import pstore
from ccsight.machines.local import LocalHost
from ccsight.process import Completed


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Where a kernel leaves it, and where systemd puts it."""
    made = (tmp_path / "sys", tmp_path / "systemd")
    for place in made:
        place.mkdir()
    monkeypatch.setattr(pstore, "PLACES", tuple(map(str, made)))
    return made


def look():
    return pstore.left(LocalHost(), Deadline(20))


def collect(before):
    return dict(pstore.collected(LocalHost(), before, Deadline(20)))


def test_only_what_was_not_there_before_is_collected_and_it_stays(places):
    kernel, systemd = places
    (kernel / "dmesg-efi-1").write_text("an old crash")
    before = look()
    (kernel / "dmesg-efi-2").write_bytes(b"<0>Kernel panic\x00\xff")
    (systemd / "7412345").mkdir()
    (systemd / "7412345" / "dmesg.txt").write_text("moved")
    found = collect(before)
    assert found == {"pstore-dmesg-efi-2": b"<0>Kernel panic\x00\xff", "pstore-7412345-dmesg.txt": b"moved"}
    assert collect(before) == found, "nothing is deleted there"
    assert collect(look()) == {}


def test_another_crash_under_the_same_name_is_new(places):
    file = places[0] / "dmesg-ramoops-0"
    file.write_text("one")
    os.utime(file, (1000, 1000))
    before = look()
    file.write_text("two")
    os.utime(file, (2000, 2000))
    assert collect(before) == {"pstore-dmesg-ramoops-0": b"two"}


def test_very_much_is_cut_and_said(places, monkeypatch):
    monkeypatch.setattr(pstore, "_TAKEN", 2)
    monkeypatch.setattr(pstore, "_BYTES", 5)
    for number in range(4):
        (places[0] / f"dmesg-{number}").write_text("1234567" if number else "12345")
    found = collect(frozenset())
    assert (found["pstore-dmesg-0"], found["pstore-dmesg-1"]) == (b"12345", b"12345")
    assert "pstore-dmesg-2" not in found
    assert [line.rpartition("/")[2] for line in found["pstore-left-out"].decode().splitlines()] == [
        "dmesg-1",
        "dmesg-2",
        "dmesg-3",
    ]


def test_links_and_odd_names_are_left_alone(places, tmp_path):
    (tmp_path / "secret").write_text("of somebody")
    (places[0] / "dmesg-1").symlink_to(tmp_path / "secret")
    (places[0] / "$(reboot) x").write_text("odd")
    assert collect(frozenset()) == {}


def test_a_machine_without_any_has_none(places):
    for place in places:
        place.rmdir()
    assert look() == frozenset()


class Host:
    def __init__(self, *answers):
        self._answers = list(answers)

    def run(self, argv, deadline, *, limit=0):
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Completed(tuple(argv), *answer)


def test_what_cannot_be_read_is_said():
    with pytest.raises(HostRefused, match="cannot be listed") as error:
        pstore.left(Host((127, b"", b"no stat")), Deadline(1))
    assert error.value.evidence == "no stat"
    odd = b"7 1000 /etc/shadow\n7 1000 /sys/fs/pstore/../../etc/shadow\nnonsense\n"
    line = b"7 1000 /sys/fs/pstore/dmesg-1\n" + odd
    with pytest.raises(HostLost):
        pstore.collected(Host((0, line, b""), HostLost("gone")), frozenset(), Deadline(1))
    found = pstore.collected(Host((0, line, b""), (1, b"", b"refused")), frozenset(), Deadline(1))
    assert dict(found) == {"pstore-left-out": b"7 bytes in /sys/fs/pstore/dmesg-1\n"}


def test_it_lies_beside_the_console_and_travels_with_the_run(tmp_path):
    (tmp_path / "consoles").mkdir()
    paths = pstore.keep({"pstore-dmesg-efi-2": b"x"}, tmp_path / "consoles" / "altra-6.12-1.log")
    assert [path.read_bytes() for path in paths] == [b"x"]
    assert belongs(str(paths[0].relative_to(tmp_path)))
