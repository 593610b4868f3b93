# junitparser's annotations are not complete.
# mypy: allow-untyped-calls
"""The one door to junitparser: a result as JUnit XML, for Jenkins, GitLab and everything that reads it.

One suite a machine, one test a planned case. FAIL is a failure; ERROR and MISS are errors; SKIP is
skipped; PASS and DONE pass, a comparison's outcome being a property of the suite, by the test's name: the
schema of Jenkins' xunit plugin (junit-10.xsd) has none in a test. A boot's time counts for the first case
that looks at its cell: judging takes none.
"""

import io
from collections.abc import Iterator
from pathlib import Path

from junitparser import Error, Failure, Skipped
from junitparser.xunit2 import JUnitXml, TestCase, TestSuite

from ccsight.evidence.cases import Case, Finding
from ccsight.evidence.decision import Decision
from ccsight.evidence.views import slug
from ccsight.report.model import Result
from ccsight.report.printable import printable
from ccsight.report.wording import finding_line, gathered, headline, test_name, unexplained
from ccsight.status import Status
from ccsight.store import write_atomically

_KINDS = {Status.FAIL: Failure, Status.ERROR: Error, Status.MISS: Error, Status.SKIP: Skipped}


def write(result: Result, path: Path) -> None:
    """Write a run's JUnit file, whole or not at all."""
    write_atomically(path, document(result))


def document(result: Result) -> bytes:
    """Return a run's JUnit XML."""
    report = JUnitXml(printable(f"ccsight {result.plan.id}"))
    untimed = {cell: sum(capture.seconds.values()) for cell, capture in result.captures.items()}
    for machine in result.plan.machines:
        suite = TestSuite(printable(machine))
        suite.timestamp = result.plan.created.rstrip("Z")
        suite.hostname = printable(machine)
        for kernel in result.plan.kernels:
            suite.add_property("kernel", printable(f"{kernel.spec} {kernel.release}"))
        for case in result.cases_of(machine):
            seconds = sum(untimed.pop(cell, 0.0) for cell in case.cells)
            suite.append(_test(result, machine, case, seconds))
            if case.outcome:
                suite.add_property(
                    f"outcome of {printable(test_name(result, case))}", printable(case.outcome)
                )
        suite.update_statistics()
        report.append(suite)
    report.update_statistics()
    file = io.BytesIO()
    report.write(file, pretty=True)
    return file.getvalue()


def decided(decision: Decision) -> bytes:
    """Return a gate's decision as JUnit XML: a failure for each reason, a test for each thing asked for."""
    report, suite = JUnitXml("ccsight gate"), TestSuite("gate")
    suite.timestamp = decision.now.rstrip("Z")
    suite.add_property("decision", decision.verdict)
    for reason in decision.reasons:
        machines = f" [{', '.join(reason.machines)}]" if reason.machines else ""
        test = TestCase(name=printable(reason.said + machines), classname=f"ccsight.gate.{reason.kind}")
        ended = Failure(printable(reason.said), reason.verdict.value)
        ended.text = "\n".join(printable(place.file) for place in reason.evidence)
        test.append(ended)
        suite.append(test)
    for tally in decision.tallies:
        name = f"{tally.kind} {tally.met} of {tally.of}"
        suite.append(TestCase(name=name, classname="ccsight.gate.fleet"))
    suite.update_statistics()
    report.append(suite)
    report.update_statistics()
    file = io.BytesIO()
    report.write(file, pretty=True)
    return file.getvalue()


def _test(result: Result, machine: str, case: Case, seconds: float) -> TestCase:
    test = TestCase(
        name=printable(test_name(result, case)),
        classname=f"ccsight.{slug(machine)}",
        time=round(seconds, 3),
    )
    kind = _KINDS.get(case.status)
    if kind:
        ended = kind(printable(headline(case)), case.status.value)
        ended.text = "\n".join(_why(result, case))
        test.append(ended)
    if case.findings:
        test.system_out = "\n".join(map(_line, gathered(case.findings)))
    return test


def _why(result: Result, case: Case) -> Iterator[str]:
    """Yield what a reader of the failed test needs: findings, or why its cells were not observed."""
    yield from map(_line, gathered(unexplained(case)))
    lost = [result.failures[cell] for cell in case.cells if cell in result.failures]
    for failure in lost:
        for label, text in (
            ("", failure.fact),
            ("evidence ", failure.evidence),
            ("next ", failure.next_step),
        ):
            yield from (printable(f"{label}{part}") for part in text.splitlines())
    if not lost and case.reason:
        yield printable(case.reason)


def _line(finding: Finding) -> str:
    known = f" [known: {finding.known}]" if finding.known else ""
    return printable(f"{finding_line(finding)}{known}")
