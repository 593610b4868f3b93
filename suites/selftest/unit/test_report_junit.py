"""JUnit XML as those read it who load it: by the rules of Jenkins' xunit plugin (junit-10.xsd), in our words.

GitLab asks for less: it reads names, times, and the text of what failed.
"""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import gate_samples
import pytest
from msgspec import structs
from report_samples import NASTY, alone, good, hostile, result_of, sample, troubled, unlike

from ccsight.checks import AGREEMENTS
from ccsight.evidence.cases import Case
from ccsight.report import junit
from ccsight.report.wording import test_name as name_of
from ccsight.status import Status

ENDED = ((), ("type", "message"), ())
TEXT = ((), (), ())
#: Element -> attributes that it must have, that it may have, and the elements that may stand in it.
RULES = {
    "testsuites": ((), ("name", "time", "tests", "failures", "errors"), ("testsuite",)),
    "testsuite": (
        ("name", "tests", "failures", "errors"),
        ("group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"),
        ("testsuite", "properties", "testcase", "system-out", "system-err"),
    ),
    "testcase": (
        ("name",),
        ("time", "classname", "group"),
        ("skipped", "error", "failure", "system-out", "system-err"),
    ),
    "properties": ((), (), ("property",)),
    "property": (("name", "value"), (), ()),
    "failure": ENDED,
    "error": ENDED,
    "skipped": ENDED,
    "system-out": TEXT,
    "system-err": TEXT,
}
TIME = re.compile(r"\d*(\.\d*)?")


def broken(document):
    """Return what breaks the rules."""
    root = ET.fromstring(document)  # noqa: S314 - our own document
    found = [] if root.tag == "testsuites" else [root.tag]
    for element in root.iter():
        must, may, inside = RULES.get(element.tag, ((), (), ()))
        given = set(element.keys())
        found += [f"{element.tag} lacks {name}" for name in set(must) - given]
        found += [f"{element.tag} has {name}" for name in given - {*must, *may}]
        found += [f"{child.tag} in {element.tag}" for child in element if child.tag not in inside]
        if not TIME.fullmatch(element.get("time", "")):
            found.append(f"time {element.get('time')}")
    return found


@pytest.mark.parametrize("of", [good, alone, troubled, unlike, hostile])
def test_a_run_keeps_to_the_schema(of):
    assert broken(junit.document(of())) == []


@pytest.mark.parametrize(
    "result", [gate_samples.good(), gate_samples.of(gate_samples.lawless())], ids=["good", "lawless"]
)
def test_a_decision_keeps_to_the_schema(result, tmp_path):
    decision = gate_samples.gated(gate_samples.text(), gate_samples.made(tmp_path, result))
    assert broken(junit.decided(decision)) == []
    nasty = [structs.replace(reason, said=NASTY, machines=(NASTY,)) for reason in decision.reasons]
    assert broken(junit.decided(structs.replace(decision, reasons=tuple(nasty)))) == []


@pytest.mark.parametrize(
    ("text", "instead", "said"),
    [
        ("testsuites", "suites", "suites"),
        ("<testsuite name=", "<testsuite title=", "testsuite lacks name"),
        ("<testcase ", '<testcase status="PASS" ', "testcase has status"),
        ("<property ", "<skipped ", "skipped in properties"),
        ('time="0.0"', 'time="1e-05"', "time 1e-05"),
    ],
)
def test_what_breaks_the_schema_is_seen(text, instead, said):
    document = junit.document(good()).decode()
    assert text in document
    assert any(said in each for each in broken(document.replace(text, instead)))


def modes():
    """One machine in three modes, whose agreement is about two of them each."""
    machines = [f"emulated:max{mode}" for mode in ("", ",mode=nvhe", ",mode=protected")]
    result = result_of(
        [sample(machine, "deb:6.12", like="emulated:neoverse-v1") for machine in machines],
        kernels=("deb:6.12",),
    )
    cells = [cell.id for cell in result.plan.cells]
    pairs = [(one, other) for one in cells for other in cells if one != other]
    agreed = tuple(
        Case(check=check, cells=pair, status=Status.PASS) for check in AGREEMENTS for pair in pairs
    )
    return replace(result, cases=(*result.cases, *agreed))


@pytest.mark.parametrize("of", [good, alone, troubled, unlike, modes])
def test_no_two_tests_of_a_machine_have_the_same_name(of):
    result = of()
    for machine in result.plan.machines:
        names = [name_of(result, case) for case in result.cases_of(machine)]
        assert len(names) == len(set(names))


def test_an_agreement_names_the_machines():
    result = modes()
    names = {name_of(result, case) for case in result.cases if case.check in AGREEMENTS}
    assert any(name.endswith("[deb:6.12, as on emulated:max,mode=nvhe]") for name in names)
