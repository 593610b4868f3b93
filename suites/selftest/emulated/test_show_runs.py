"""``ccsight show`` of runs that were really made: the same kernel twice, as a mail, as KTAP, as a history."""

import re

import pytest
from command import ccsight

pytestmark = pytest.mark.emulated

MACHINE = "emulated:neoverse-n1"


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """A folder in which the same kernel was captured twice."""
    place = tmp_path_factory.mktemp("runs")
    for _ in range(2):
        said = ccsight("capture", "deb:6.12", "--on", MACHINE, cwd=place)
        assert said.code == 0, said.stderr
    return place


def test_a_mail_of_it_says_on_what_it_was_measured_and_where_not(twice):
    said = ccsight("show", "--mail", cwd=twice)
    assert said.code == 0, said.stderr
    assert max(map(len, said.stdout.splitlines())) <= 76
    assert re.search(r"^    emulated, QEMU (emulator version )?[0-9.]+$", said.stdout, re.MULTILINE)
    assert ", 0 fail, 0 measured, 0 not observed, " in said.stdout
    assert f"ccsight capture deb:6.12 --on {MACHINE}" in said.stdout
    assert str(twice) not in said.stdout


def test_ktap_of_it_is_ok_throughout(twice):
    said = ccsight("show", "--ktap", cwd=twice)
    assert said.code == 0, said.stderr
    assert said.stdout.startswith("KTAP version 1\n1..1\n")
    assert f"\nok 1 {MACHINE} # " in said.stdout
    assert "not ok" not in said.stdout


def test_the_same_kernel_does_not_flap(twice):
    for check in ("CR-001", "CR-004", "CR-005", "CR-018"):
        said = ccsight("show", "--history", check, "--json", cwd=twice)
        assert said.code == 0, said.stderr
        (course,) = said.json["courses"]
        assert [row["status"] for row in course["rows"]] == ["PASS", "PASS"]
        first, second = course["rows"]
        assert first["build_ids"] == second["build_ids"] != [""]
        assert (course["changes"], said.json["flaps"]) == ([], [])


def test_neither_of_them_is_old_enough_to_go(twice):
    said = ccsight("show", "--prune", "--keep", "1", "--json", cwd=twice)
    assert said.code == 0, said.stderr
    assert [kept["why"] for kept in said.json["kept"]] == ["it was written to just now", "the latest"]
    assert said.json["removed"] == []
