"""A run as KTAP: read by a parser that knows the kernel's rules and nothing else, whatever a machine says."""

import re
from dataclasses import dataclass, replace

import pytest
from msgspec import structs
from report_samples import (
    MACHINES,
    NASTY,
    NEW,
    OLD,
    alone,
    good,
    hostile,
    result_of,
    sample,
    troubled,
    unlike,
)

from ccsight.cli import run
from ccsight.evidence.cases import Case
from ccsight.evidence.failure import Failure
from ccsight.evidence.record import to_json
from ccsight.evidence.run import Run
from ccsight.report import ktap
from ccsight.status import Status

RESULT = re.compile(r"(ok|not ok) ([1-9][0-9]*) ([^#]+?)(?: # (?:(SKIP|ERROR)(?: |$))?(.*))?")
PLAN = re.compile(r"1\.\.(0|[1-9][0-9]*)")


@dataclass(frozen=True)
class Test:
    """A result line, the diagnostic lines right before it, and what is nested in it."""

    __test__ = False

    ok: bool
    name: str
    directive: str | None
    data: str
    remarks: tuple[str, ...]
    below: tuple["Test", ...]


def parsed(document: bytes) -> list[Test]:
    """Read KTAP strictly: no unknown line, and everything where it belongs."""
    text = document.decode("utf-8")
    assert text.endswith("\n")
    assert text.splitlines() == text[:-1].split("\n")
    lines = text[:-1].split("\n")
    tests = level(lines, "")
    assert not lines
    return tests


def level(lines: list[str], indent: str) -> list[Test]:
    """Take a version line, a plan line, and as many tests as it says, off the front of the lines."""
    assert lines.pop(0) == f"{indent}KTAP version 1"
    planned = PLAN.fullmatch(lines.pop(0).removeprefix(indent))
    assert planned
    tests: list[Test] = []
    while len(tests) < int(planned[1]):
        below = level(lines, f"{indent}  ") if lines and lines[0] == f"{indent}  KTAP version 1" else []
        remarks = []
        while lines[0].startswith(f"{indent}# "):
            remarks.append(lines.pop(0).removeprefix(f"{indent}# "))
            if not below and lines[0] == f"{indent}  KTAP version 1":
                below = level(lines, f"{indent}  ")
        assert lines[0].startswith(indent)
        found = RESULT.fullmatch(lines.pop(0).removeprefix(indent))
        assert found
        result, number, name, directive, data = found.groups()
        assert int(number) == len(tests) + 1
        assert "#" not in (data or "")
        tests.append(Test(result == "ok", name, directive, data or "", tuple(remarks), tuple(below)))
    return tests


def judged(status: Status, reason: str = "", machine: str = MACHINES[0]) -> bytes:
    """Return the KTAP of a run with one case, which ended so."""
    result = result_of([sample(machine, OLD)], kernels=(OLD,))
    (cell,) = result.plan.cells
    return ktap.document(
        replace(result, cases=(Case(check="CR-001", cells=(cell.id,), status=status, reason=reason),))
    )


@pytest.mark.parametrize("of", [good, troubled, hostile, unlike, alone])
def test_every_case_is_a_test_and_a_machine_is_as_its_worst(of):
    result = of()
    tests = parsed(ktap.document(result))
    assert len(tests) == len(result.plan.machines)
    for machine, test in zip(result.plan.machines, tests, strict=True):
        cases = result.cases_of(machine)
        assert len(test.below) == len(cases) + len(result.incomplete(machine))
        bad = {Status.FAIL, Status.MISS, Status.ERROR}
        assert [below.ok for below in test.below[: len(cases)]] == [case.status not in bad for case in cases]
        assert test.ok == all(below.ok for below in test.below)


@pytest.mark.parametrize(
    ("status", "ok", "directive", "data"),
    [
        (Status.PASS, True, None, ""),
        (Status.DONE, True, None, "DONE"),
        (Status.SKIP, True, "SKIP", "no AArch32"),
        (Status.FAIL, False, None, "FAIL no AArch32"),
        (Status.MISS, False, "ERROR", "MISS no AArch32"),
        (Status.ERROR, False, "ERROR", "no AArch32"),
    ],
)
def test_each_status_has_its_form(status, ok, directive, data):
    ((test,),) = (machine.below for machine in parsed(judged(status, "no AArch32")))
    assert (test.ok, test.directive, test.data) == (ok, directive, data)
    assert test.name == "CR-001 the guest reads what userspace is told [deb:6.1]"


@pytest.mark.parametrize("reason", ["a # SKIP b", "\nok 2 x", f"{NASTY}#", "ü→\u2028x\r\x85", "x" * 100_000])
@pytest.mark.parametrize("status", [Status.MISS, Status.FAIL, Status.SKIP])
def test_what_a_machine_says_is_data_and_no_directive(status, reason):
    ((test,),) = (machine.below for machine in parsed(judged(status, reason)))
    assert test.ok is (status is Status.SKIP)
    assert test.directive == {Status.MISS: "ERROR", Status.SKIP: "SKIP"}.get(status)


def test_a_failing_law_says_why_right_before_its_result():
    (machine,) = (test for test in parsed(ktap.document(troubled())) if test.name == "emulated:cortex-a72")
    failed = [test for test in machine.below if not test.ok]
    assert len(failed) == 3
    assert any("the guest 0xa200023 (vCPU 1)" in remark for remark in failed[0].remarks)
    assert failed[0].data.startswith("FAIL CLIDR_EL1: ")


def test_a_program_that_saw_nothing_is_a_test_that_is_not_ok():
    seen = sample(MACHINES[0], NEW)
    lost = structs.replace(seen, failures={"life": Failure(status=Status.MISS, fact="it hung")})
    result = result_of([lost], kernels=(NEW,))
    (machine,) = parsed(ktap.document(result))
    assert (machine.below[-1].name, machine.below[-1].data) == ("program life [deb:6.12]", "MISS it hung")
    assert not machine.ok


def test_nothing_planned_and_everything_skipped_are_not_ok_and_skipped():
    result = result_of([sample(MACHINES[0], OLD)], kernels=(OLD,))
    (empty,) = parsed(ktap.document(replace(result, cases=())))
    assert (empty.ok, empty.directive, empty.data) == (False, "ERROR", "MISS nothing was planned")
    (skipped,) = parsed(judged(Status.SKIP, "why"))
    assert (skipped.ok, skipped.directive) == (True, "SKIP")


def test_the_verb_prints_it_and_exits_as_the_run_did(tmp_path, capsysbinary):
    result = result_of([sample(MACHINES[0], NEW)], kernels=(NEW,))
    made = Run.create(tmp_path, result.plan)
    assert run(["show", "--ktap", "--out", str(tmp_path)]) == 3
    (machine,) = parsed(capsysbinary.readouterr().out)
    assert not any(test.ok for test in machine.below)
    made.write(result.plan.cells[0], "capture.json", to_json(result.captures[result.plan.cells[0].id]))
    assert run(["show", "--ktap", "--out", str(tmp_path)]) == 0
    assert capsysbinary.readouterr().out == ktap.document(result)
