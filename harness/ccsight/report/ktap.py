"""A result as KTAP version 1, the kernel's test protocol (Documentation/dev-tools/ktap.rst).

One test a machine, below it one for each planned case, and one for each program that saw nothing. PASS and
DONE are ok, SKIP is ok with that directive; FAIL is not ok; neither are MISS and ERROR, which have the
directive ERROR and their word: nothing was observed, so nothing is ok. A test that has failing ones below
it fails.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ccsight.evidence.cases import Case
from ccsight.report.model import Result
from ccsight.report.printable import printable
from ccsight.report.wording import finding_line, gathered, headline, test_name, unexplained, version
from ccsight.status import Status, summarise

_VERSION = "KTAP version 1"
_LEVEL = "  "
#: Findings of a test that are shown, each on a line of its own.
_SHOWN = 5


@dataclass(frozen=True)
class Test:
    """One test: its name, how it ended, in a few words why, and what else there is to say."""

    name: str
    status: Status
    data: str = ""
    said: tuple[str, ...] = ()


def document(result: Result) -> bytes:
    """Return a run as KTAP."""
    return "".join(f"{line}\n" for line in _lines(result)).encode()


def _lines(result: Result) -> Iterator[str]:
    plan = result.plan
    yield from (_VERSION, f"1..{len(plan.machines)}")
    yield _remark(f"ccsight {plan.ccsight}, run {plan.id}")
    yield from (_remark(f"kernel {kernel.label} {version(kernel)}") for kernel in plan.kernels)
    for number, machine in enumerate(plan.machines, 1):
        tests = [*_cases(result, machine), *_programs(result, machine)]
        yield from (f"{_LEVEL}{line}" for line in _below(tests))
        status = summarise(test.status for test in tests)
        all_skipped = tests and status is Status.SKIP
        yield _ended(number, Test(machine, status, "every test was" if all_skipped else _count(tests)))


def _below(tests: list[Test]) -> Iterator[str]:
    yield from (_VERSION, f"1..{len(tests)}")
    for number, test in enumerate(tests, 1):
        yield from map(_remark, test.said)
        yield _ended(number, test)


def _cases(result: Result, machine: str) -> Iterator[Test]:
    for case in result.cases_of(machine):
        yield Test(test_name(result, case), case.status, _data(case), tuple(_said(case)))


def _data(case: Case) -> str:
    if case.status is Status.PASS:
        return ""
    return case.outcome if case.status is Status.DONE else headline(case)


def _said(case: Case) -> Iterator[str]:
    """Yield what is held against a kernel, or what a comparison found."""
    found = gathered(unexplained(case))
    for finding in found[:_SHOWN]:
        yield f"{case.check}: {finding_line(finding)}"
    if len(found) > _SHOWN:
        yield f"{case.check}: and {len(found) - _SHOWN} more"


def _programs(result: Result, machine: str) -> Iterator[Test]:
    """Yield the programs that saw nothing: no case need have missed them."""
    for cell, program, failure in result.incomplete(machine):
        yield Test(f"program {program} [{cell.kernel}]", failure.status, failure.fact)


def _count(tests: list[Test]) -> str:
    """Say how many tests ended how, or that there were none."""
    statuses = [test.status for test in tests]
    counted = [f"{statuses.count(status)} {status}" for status in Status if status in statuses]
    return ", ".join(counted) or "nothing was planned"


def _ended(number: int, test: Test) -> str:
    """Return the result line of a test. A hash sign begins its data, so there is no other in it."""
    words = {
        Status.PASS: ("ok", ""),
        Status.DONE: ("ok", "DONE "),
        Status.SKIP: ("ok", "SKIP "),
        Status.FAIL: ("not ok", "FAIL "),
        Status.MISS: ("not ok", "ERROR MISS "),
        Status.ERROR: ("not ok", "ERROR "),
    }
    result, word = words[test.status]
    data = f" # {word}{_no_hash(test.data)}".rstrip() if word or test.data else ""
    return f"{result} {number} {_no_hash(test.name)}{data}"


def _remark(text: str) -> str:
    return f"# {printable(text)}"


def _no_hash(text: str) -> str:
    return printable(text).replace("#", r"\x23")
