"""``ccsight machines release``: over a real sshd, of a machine that is this system."""

import msgspec
import pytest
from ssh_lab import lab, sshds

from ccsight.cli import run
from ccsight.deadline import Deadline
from ccsight.machines import inventory, lease
from ccsight.machines.lease import Place, mark
from ccsight.machines.remote import connected

__all__ = ["lab", "sshds"]


@pytest.fixture
def place(lab, monkeypatch):
    """Where the lease of ``metal`` lies, which this system is."""
    monkeypatch.setattr(lease, "PLACE", str(lab.folder / "made" / "lease"))
    lab.write(lab.entry("metal", lab.machine))
    with connected(inventory.entry("metal"), Deadline(20)) as host:
        yield Place("metal", host)


def test_a_machine_that_nobody_has_is_free(place, capsys):
    assert run(["machines", "release", "metal"]) == 0
    assert "metal is free" in capsys.readouterr().err


def test_who_is_connected_keeps_it_but_for_force(place, capsys):
    with place.leased(mark(), "gate", Deadline(20)):
        assert run(["machines", "release", "metal"]) == 3
        assert "metal is taken by" in capsys.readouterr().err
        assert run(["machines", "release", "metal", "--force"]) == 0
        assert "it was taken from" in capsys.readouterr().err
        assert run(["machines", "release", "metal"]) == 0


def test_who_left_it_is_told_and_it_is_free(place, capsys):
    with place.leased(mark(), "gate", Deadline(20)) as mine:
        mine.leave(0, Deadline(20))
        gone = msgspec.structs.replace(mine.holder, away=0)
    place.write(gone, Deadline(20))
    assert run(["machines", "release", "metal"]) == 0
    assert f"it was taken from {gone}" in capsys.readouterr().err
    assert place.look(Deadline(20)).holder is None


def test_a_lease_that_nobody_may_write_is_said(place, lab, capsys):
    (lab.folder / "made").write_text("")
    assert run(["machines", "release", "metal"]) == 2
    assert "is written down nowhere" in capsys.readouterr().err
