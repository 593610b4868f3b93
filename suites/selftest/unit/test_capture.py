"""``ccsight capture``: a run of one kernel plans laws only, and every report reads well with one side."""

import json

import pytest
from junitparser.xunit2 import JUnitXml
from report_samples import OLD, alone, one_good
from test_report_files import Page

from ccsight.campaign.planning import cases_of
from ccsight.checks import COMPARISONS, LAWS
from ccsight.cli import run
from ccsight.report import as_json, console, html, junit, terminal


@pytest.fixture
def page(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    console.output().print(terminal.render(alone()))
    return capsys.readouterr().out


def test_laws_are_planned_and_nothing_is_compared():
    cases = cases_of([OLD], ["emulated:max", "silicon:rk3588"])
    assert {case.check for case in cases} == {*LAWS, "CR-006"}
    assert len(cases) == 2 * (len(LAWS) + 1)
    assert not {case.check for case in cases} & COMPARISONS.keys()


def test_the_terminal_page_has_one_side(page):
    assert "again: ccsight capture deb:6.1" in page
    assert "CCSIDR_EL1[2] L2         0x7ff0000003a  8×2048×64 B" in page
    assert "carrying a VM between them is refused" in page
    assert "old" not in page.split("known, and not held")[0].split()
    assert "comparisons" not in page
    assert "\n\n\n" not in page


def test_the_files_have_one_side():
    text = html.document(alone()).decode()
    Page(text).close()
    assert "comparisons" not in text.partition("Laws and comparisons")[0]
    assert "comparisons" in html.document(one_good()).decode().partition("Laws and comparisons")[0]
    assert "carrying a VM between them is refused" in text
    suites = list(JUnitXml.fromstring(junit.document(alone())))
    assert [suite.tests for suite in suites] == [len(LAWS)] * 2
    said = json.loads(as_json.document(alone()))
    m2 = said["machines"][0]
    assert (m2["new"], m2["differences"], m2["comparisons"]) == (None, [], [])
    assert m2["old"]["caches"][0]["name"] == "L1I"


def test_the_plan_is_printed_without_looking_anything_up(capsys):
    assert run(["capture", "deb:6.1", "--on", "silicon:rk3588", "--dry-run", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["boots"] == 1
    assert {case["check"] for case in said["cases"]} == {*LAWS, "CR-006"}


@pytest.mark.parametrize(
    ("words", "evidence"),
    [
        (["dbe:6.1"], "did you mean 'deb'"),
        (["deb:6.1", "--on", "loacl"], "is not a machine"),
        (["deb:6.1", "--on", "local"], "local is not booted: it runs the kernel that it runs, not deb:6.1"),
        (["running", "--on", "silicon:rk3588"], "running is the kernel of this machine"),
        (["--on", "local", "--on", "silicon:rk3588"], "missing argument"),
        (["running", "--on", "local:here"], "is not a machine"),
        (["--on", "local", "--linux"], "nothing proves which image it is"),
        ([], "missing argument"),
    ],
)
def test_what_cannot_be_is_a_usage_error(words, evidence, capsys):
    assert run(["capture", *words, "--dry-run"]) == 2
    assert evidence in capsys.readouterr().err
