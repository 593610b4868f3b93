"""What every report says of a capture in which a program saw nothing: which, why, and what to do."""

import json

import msgspec
import pytest
from junitparser.xunit2 import JUnitXml
from report_samples import FOLDER, MACHINES, NASTY, NEW, OLD, result_of, sample
from test_report_files import Page

from ccsight.checks.verdict import judged
from ccsight.evidence.boots import Boot, Boots, End, Role
from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import SCHEMA
from ccsight.evidence.views import Cell
from ccsight.report import as_json, console, html, junit, terminal
from ccsight.report.model import Result
from ccsight.status import Status

SLOW = Failure(status=Status.MISS, fact="life did not end within 60 s")
BROKEN = Failure(status=Status.ERROR, fact="the guest setway did not say what it says", evidence=NASTY)


def partial() -> Result:
    """Return a run whose new kernel's cell lacks two programs, and nothing that they saw."""
    whole = sample(MACHINES[0], NEW)
    views = tuple(view for view in whole.views if view.program not in ("life", "setway"))
    lacking = msgspec.structs.replace(
        whole, views=views, writes=(), failures={"life": SLOW, "guests": BROKEN}
    )
    return result_of([sample(MACHINES[0], OLD), lacking])


@pytest.fixture
def said(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")

    def say(page):
        console.output().print(page)
        return capsys.readouterr().out

    return say


def test_the_terminal_names_the_program_the_reason_and_the_next_step(said):
    text = said(terminal.render(partial()))
    assert f"MISS  {NEW}  life  {SLOW.fact}" in text
    assert f"next      ccsight compare --resume {FOLDER}" in text
    assert f"ERROR  {NEW}  guests  {BROKEN.fact}" in text
    assert "\x1b[31m" not in text
    assert "CLIDR_EL1" in text, "what the others saw is shown"


def test_the_terminal_says_so_of_two_captures(said):
    old, new = partial().captures.values()
    assert f"MISS  new  life  {SLOW.fact}" in said(terminal.render_diff(old, new, ()))


def test_the_files_say_so():
    text = html.document(partial()).decode()
    Page(text).close()
    assert f"<strong>{NEW} life</strong> {SLOW.fact}" in text
    assert "<script>alert" not in text
    new = json.loads(as_json.document(partial()))["machines"][0]["new"]
    assert new["failures"]["life"] == {"status": "MISS", "fact": SLOW.fact, "evidence": "", "next_step": ""}
    assert new["views"]
    (suite,) = JUnitXml.fromstring(junit.document(partial()))
    lost = [test for test in suite if test.result and SLOW.fact in (test.result[0].message or "")]
    assert lost


def test_no_law_passes_for_lack_of_what_it_needs_and_the_others_are_judged():
    cases = [case for case in partial().cases if case.cells == (Cell(machine=MACHINES[0], kernel=NEW).id,)]
    statuses = {case.check: case.status for case in cases}
    assert statuses["CR-001"] is Status.PASS
    assert {check for check, status in statuses.items() if status is not Status.PASS} >= {"CR-004", "CR-005"}
    assert {statuses["CR-004"], statuses["CR-005"]} <= {Status.MISS, Status.ERROR}


def test_a_program_that_no_law_misses_is_no_success():
    whole = sample(MACHINES[0], NEW)
    lacking = msgspec.structs.replace(whole, failures={"hardware": SLOW})
    result = result_of([sample(MACHINES[0], OLD), lacking])
    assert {case.status for case in result.cases} <= {Status.PASS, Status.DONE, Status.SKIP}
    assert result.status is Status.MISS
    assert json.loads(as_json.document(result))["exit_code"] == 3
    assert "Incomplete: no law fails" in html.document(result).decode()


def test_a_kernel_that_does_not_boot_is_shown_with_its_control(said):
    cell = Cell(machine=MACHINES[0], kernel=NEW)
    failure = Failure(status=Status.MISS, fact="the kernel panicked: no", evidence=f"{NASTY} (console:7)")
    base = result_of([sample(MACHINES[0], OLD)], {cell: failure})
    roles = ((Role.PATCHED, End.DOWN), (Role.BASE, End.UP), (Role.PATCHED, End.DOWN))
    boots = tuple(
        Boot(role=role, kernel=OLD, end=end, console="c", failure=failure if end is End.DOWN else None)
        for role, end in roles
    )
    row = Boots(schema=SCHEMA, cell=cell, boots=boots)
    case = judged(PlannedCase(check="CR-019", cells=(cell.id,)), {}, {}, {cell.id: row})
    result = Result(base.plan, FOLDER, (*base.cases, case), base.captures, base.failures, {cell.id: row})
    text = said(terminal.render(result))
    assert "FAIL  CR-019  the kernel boots where its base does" in text
    assert "booted in between" in text
    assert "/1/boots.json" in text
    page = html.document(result).decode()
    Page(page).close()
    assert "booted in between" in page
    ends = json.loads(as_json.document(result))["machines"][0]["new"]["boots"]
    assert [boot["end"] for boot in ends] == ["down", "up", "down"]
    assert b"booted in between" in junit.document(result)
