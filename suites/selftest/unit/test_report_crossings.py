"""What readers are shown of VMs that go from machine to machine: the terminal's page, HTML, JSON, JUnit."""

import json

import msgspec
import pytest
from crossing_samples import HERE, NEW, OLD, THERE, arrived_on, left_behind, left_from
from report_samples import result_of

from ccsight.arm64.kvm_ids import known
from ccsight.checks.verdict import judged
from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.views import Cell
from ccsight.report import as_json, console, html, junit, terminal
from ccsight.report.model import Result

MIDR = left_behind(known()["MIDR_EL1"], problem="EINVAL")


def crossed(*odd) -> Result:
    """Return a run of two machines and two kernels, in which VMs went from the first to the other one."""
    found = result_of(
        [left_from(OLD), left_from(NEW), arrived_on(OLD, *odd), arrived_on(NEW, *odd)], kernels=(OLD, NEW)
    )
    ways = [
        (Cell(machine=HERE, kernel=old), Cell(machine=THERE, kernel=new))
        for old in (OLD, NEW)
        for new in (OLD, NEW)
    ]
    planned = tuple(PlannedCase(check="CR-020", cells=(old.id, new.id)) for old, new in ways)
    return with_cases(found, planned)


def with_cases(found: Result, planned: tuple[PlannedCase, ...]) -> Result:
    """Return a result with more cases, judged."""
    plan = msgspec.structs.replace(found.plan, cases=found.plan.cases + planned)
    cases = tuple(judged(case, found.captures, found.failures) for case in planned)
    return Result(plan, found.folder, found.cases + cases, found.captures, found.failures)


@pytest.fixture
def shown(capsys, monkeypatch):
    """Return a function that prints a result's page 80 columns wide, and returns the part about crossings."""

    def show(result: Result) -> str:
        monkeypatch.setenv("COLUMNS", "80")
        console.output().print(terminal.render(result))
        text = capsys.readouterr().out
        assert max(map(len, text.splitlines())) <= 80
        return text[text.index("VMs that move between machines") :]

    return show


def test_the_page_names_both_machines_and_kernels_of_each_way(shown):
    text = shown(crossed())
    lines = [line.strip() for line in text.splitlines()]
    assert [line for line in lines if line.startswith("from ")] == [
        f"from {HERE}  {OLD}",
        f"from {HERE}  {NEW}",
    ]
    assert [line for line in lines if line.startswith("→")] == [
        f"→ {THERE}  {OLD}    TRANSPARENT",
        f"→ {THERE}  {NEW}    VISIBLE",
        f"→ {THERE}  {OLD}    REFUSED",
        f"→ {THERE}  {NEW}    TRANSPARENT",
    ]
    assert "transparent  with every VMM" in text


def test_what_is_in_the_way_is_told_by_what_it_is_about(shown):
    text = shown(crossed(MIDR))
    assert "all else  MIDR_EL1 EINVAL" in text
    assert "refused   with QEMU up to 10, QEMU 11.1, Firecracker, a VMM that wants\n" in text
    assert "lossy     with a VMM that ignores errors" in text
    assert "caches    nothing is in the way" in text


def test_a_way_that_was_not_observed_says_why(shown):
    result = crossed()
    gone = Cell(machine=HERE, kernel=NEW).id
    captures = {cell: capture for cell, capture in result.captures.items() if cell != gone}
    bare = Result(result.plan, result.folder, result.cases, captures, result.failures)
    cases = tuple(judged(case, captures, {}) for case in bare.plan.cases)
    text = shown(Result(bare.plan, bare.folder, cases, captures, {}))
    assert f"→ {THERE}  {OLD}    MISS" in text
    assert "never observed" in text
    assert "TRANSPARENT" in text, "the other kernel's VMs were"


def test_a_run_on_one_machine_says_nothing_of_it(capsys):
    console.output().print(terminal.render(result_of([left_from(OLD), left_from(NEW)])))
    assert "between machines" not in capsys.readouterr().out


def test_json_has_the_machines_of_each_way():
    there = next(
        each for each in json.loads(as_json.document(crossed(MIDR)))["machines"] if each["machine"] == THERE
    )
    ways = {
        (each["source_machine"], each["destination_machine"], each["source"], each["destination"])
        for each in there["migrations"]
    }
    assert (HERE, THERE, NEW, NEW) in ways
    outcomes = {each["outcome"] for each in there["comparisons"] if each["check"] == "CR-020"}
    assert outcomes == {"refused", "visible"}
    assert not any("MIDR_EL1" in sentence for sentence in there["sentences"]), "which are about its kernels"


def test_the_html_page_has_a_section_of_its_own():
    text = html.document(crossed(MIDR)).decode()
    section = text[text.index('id="crossings"') :]
    assert f"{HERE}  {NEW} → {THERE}  {NEW}" in section
    assert 'id="crossings"' not in html.document(result_of([left_from(OLD), left_from(NEW)])).decode()


def test_junit_names_each_way_once():
    lines = junit.document(crossed()).decode().splitlines()
    names = [line for line in lines if "<testcase" in line and "CR-020" in line]
    assert len(names) == len(set(names)) == 4
    assert f"[{HERE}  {OLD} → {NEW}]" in names[1]
