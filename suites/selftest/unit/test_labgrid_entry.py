"""What an entry of the inventory may say of labgrid, and what is said where labgrid is not installed."""

import pytest

from ccsight.deadline import Deadline
from ccsight.errors import ToolMissing, UsageError
from ccsight.machines import inventory, labgrid_client, labgrid_command
from ccsight.machines.labgrid_place import LabgridPlace
from ccsight.machines.lease import Place
from ccsight.machines.leasing import inside, lent, outside


def entry(*lines):
    return inventory.read("\n".join(('[altra]\naddress = "h"', *lines)), "machines.toml")["altra"]


def words(argv):
    return [*argv[1:]]


def test_console_and_power_are_labgrids_where_nothing_else_is_said():
    altra = entry('labgrid = "rack-4"', 'labgrid-coordinator = "lab:20408"')
    assert (altra.labgrid, altra.labgrid_coordinator) == ("rack-4", "lab:20408")
    assert words(altra.power) == ["-x", "lab:20408", "-p", "rack-4", "power", "cycle"]
    assert words(altra.console) == ["-x", "lab:20408", "-p", "rack-4", "console", "--listenonly"]


def test_own_commands_win_and_an_empty_one_is_none():
    altra = entry('labgrid = "rack-4"', 'power = ["off-and-on"]', "console = []")
    assert (altra.power, altra.console) == (("off-and-on",), ())


def test_without_labgrid_there_are_no_such_commands():
    altra = entry()
    assert (altra.power, altra.console) == ((), ())
    assert outside(altra, print) is None
    with lent(altra, "a boot", Deadline(1), print):
        pass


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['labgrid = "-x"'], "labgrid = '-x' cannot be"),
        (['labgrid = "two words"'], "labgrid = 'two words' cannot be"),
        (['labgrid-coordinator = "lab:1"'], "labgrid-coordinator = 'lab:1' cannot be"),
        (['labgrid = "p"', 'labgrid-coordinator = "http://lab"'], "labgrid-coordinator"),
        (['labgrd = "p"'], "unknown key 'labgrd'"),
    ],
)
def test_what_cannot_be_meant_is_refused(lines, message):
    with pytest.raises(UsageError, match=message):
        entry(*lines)


def test_the_coordinator_is_labgrids_own_where_none_is_said(monkeypatch):
    monkeypatch.delenv("LG_COORDINATOR", raising=False)
    assert labgrid_command.default() == "127.0.0.1:20408"
    monkeypatch.setenv("LG_COORDINATOR", "lab:1")
    assert words(entry('labgrid = "at-lab-1"').power)[:2] == ["-x", "lab:1"]


def test_without_labgrid_one_message_says_how_it_is_had(monkeypatch):
    monkeypatch.setattr(labgrid_client, "program", lambda: "no-labgrid-client-here")
    with pytest.raises(ToolMissing, match="labgrid is not here") as caught:
        LabgridPlace(entry('labgrid = "p"'), print).look(Deadline(5))
    assert caught.value.next_step == "pip install 'ccsight[labgrid]'"


def test_the_machine_lends_itself_whoever_else_does():
    altra = entry('labgrid = "p"')
    assert isinstance(inside(altra, None), Place)
    assert isinstance(outside(altra, print), LabgridPlace)
