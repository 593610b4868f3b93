"""The report's files: HTML, JUnit and JSON."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import msgspec
import pytest
from junitparser import Error, Failure
from junitparser.xunit2 import JUnitXml
from recorded import capture
from report_samples import (
    MACHINES,
    NEW,
    OLD,
    good,
    hostile,
    one_good,
    only_troubled,
    page,
    result_of,
    sample,
    troubled,
    unlike,
)

from ccsight.arm64.registers import in_short
from ccsight.checks import COMPARISONS, LAWS
from ccsight.checks.verdict import comparisons
from ccsight.evidence.cases import Finding
from ccsight.evidence.model import Reboot
from ccsight.evidence.views import Vantage
from ccsight.report import as_json, html, junit
from ccsight.report.drawing import WIDTH, draw
from ccsight.report.wording import gathered


class Page(HTMLParser):
    """Collects tags and their nesting; void elements and self-closed ones do not nest."""

    VOID = frozenset({"meta", "br", "line", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    "result", [one_good, only_troubled, hostile, unlike], ids=["good", "troubled", "hostile", "unlike"]
)
def test_html_is_well_nested_and_needs_nothing_but_itself(result):
    text = page(result)
    read = Page(text)
    assert read.open == []
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in read.tags}
    links = [str(value) for _, attrs in read.tags for name, value in attrs.items() if name in ("href", "src")]
    assert all(re.match(r"#machine-|#main$|#value-|#registers-|captures/|consoles/", link) for link in links)
    assert "url(" not in text
    assert "@import" not in text


def test_html_says_what_matters():
    text = page(troubled)
    for word in (
        "A kernel fails 3 of its laws.",
        "0x7ff0000003a",
        "NumSets cut off",
        "the emulated host never became ready",
        "consoles/emulated_max--deb_6.12-1.log",
        "captures/emulated_neoverse-v1--deb_6.1/1/capture.json",
        "qemu-system-aarch64",
        "userspace (KVM_GET_ONE_REG), vCPU 0, 1",
        "7af0c2534f4c",
    ):
        assert word in text, word
    assert "Every law holds on every kernel." in page(one_good)


@pytest.mark.parametrize(
    ("recovery", "told"),
    [(("panic", "timer"), "seen to come back by panic, timer"), ((), "nobody has seen it come back before")],
)
def test_html_says_how_a_real_machine_was_booted(recovery, told):
    seen = sample(MACHINES[1], OLD)
    booted = msgspec.structs.replace(seen.machine, reboot=Reboot(method="grub", recovery=recovery))
    result = result_of([msgspec.structs.replace(seen, machine=booted)], kernels=(OLD,))
    assert f"<dt>booted by</dt><dd>grub; {told}</dd>" in html.document(result).decode()


def test_html_escapes_what_machines_say():
    text = page(hostile)
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert not set(text) & {"\x1b", "\u202e"}


def test_html_shows_the_vantages_of_each_group_of_cpus_side_by_side():
    text = " ".join(page(unlike).split())
    for word in (
        "By physical CPU",
        '<th scope="col">host kernel (MRS)</th><th scope="col">userspace (KVM_GET_ONE_REG)</th>',
        '<th scope="col">guest (MRS at EL1)</th><th scope="col">guest (MRS at EL0)</th>',
        '<th scope="col">declared, observed by nobody</th>',
        "CPU 2-3 Cortex-A76",
        "Refused of a VM that comes from another kind of CPU: <code>CCSIDR_EL1[0-2] EINVAL</code>",
        "Declared by the silicon table; published, from: a table",
        "old: guests see other caches on CPU 2-3 than on CPU 0-1",
        "guest (MRS at EL1), vCPU 0, CPU 2-3",
        "host kernel (MRS), CPU 0-1",
    ):
        assert word in text, word
    alike = page(one_good)
    assert "By physical CPU" in alike
    assert "declared" not in alike


def test_html_is_written_whole(tmp_path):
    html.write(one_good(), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page(one_good)


@pytest.mark.parametrize(
    ("machine", "kernel"), [(machine, kernel) for machine in MACHINES for kernel in (OLD, NEW)]
)
def test_drawing_stays_inside_its_frame(machine, kernel):
    drawing = draw(sample(machine, kernel).view(Vantage.GUEST, 0))
    for box in drawing.boxes:
        assert 0 <= box.x <= box.x + box.width <= WIDTH
        assert 0 <= box.y <= box.y + box.height <= drawing.height
    kinds = {box.kind for box in drawing.boxes}
    assert kinds == {"cpu", "memory", "cache" if kernel == OLD else "fabricated"}
    assert len(drawing.wires) >= len(drawing.boxes) - 1


def test_a_bigger_cache_is_a_wider_box():
    drawing = draw(capture("neoverse-v1", "6.1").view(Vantage.GUEST, 0))
    widths = {box.name: box.width for box in drawing.boxes}
    assert widths["L2 unified 1M"] > widths["L1D 64K"] == widths["L1I 64K"]


def test_junit_survives_a_round_trip(tmp_path):
    result = troubled()
    junit.write(result, tmp_path / "junit.xml")
    report = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    suites = list(report)
    assert [suite.name for suite in suites] == list(result.plan.machines)
    lost = len(LAWS) + len(COMPARISONS)  # whatever looks at the cell without a capture
    assert (report.tests, report.failures, report.errors) == (len(result.cases), 3, lost)
    assert sum(suite.tests for suite in suites) == report.tests
    assert all(suite.timestamp and suite.time is not None for suite in suites)
    assert suites[0].time == pytest.approx(10.4)
    tests = {test.name: test for suite in suites for test in suite if suite.name == "emulated:cortex-a72"}
    failed = tests["CR-001 the guest reads what userspace is told [deb:6.12]"]
    assert isinstance(failed.result[0], Failure)
    assert "the guest 0xa200023 (vCPU 1)" in failed.result[0].text
    launch = tests["CR-009 a fresh launch shows the same on both kernels [deb:6.1 → deb:6.12]"]
    assert launch.is_passed
    outcomes = {item.name: item.value for item in suites[-2].properties()}
    assert outcomes[f"outcome of {launch.name}"] == "differs"


def test_junit_says_why_nothing_was_observed():
    report = JUnitXml.fromstring(junit.document(troubled()))
    missing = [test.result[0] for suite in report for test in suite if test.is_error]
    assert all(isinstance(error, Error) and error.type == "MISS" for error in missing)
    assert "the emulated host never became ready" in missing[0].text
    assert "next ccsight capture deb:6.12" in missing[0].text


def test_junit_is_xml_whatever_a_machine_says():
    ET.fromstring(junit.document(hostile()))  # noqa: S314 - our own document


def test_json_document():
    document = json.loads(as_json.document(troubled()))
    assert (document["status"], document["exit_code"]) == ("FAIL", 1)
    assert [kernel["behaviours"] for kernel in document["kernels"]] == [["native"], ["normalised"]]
    machines = {machine["machine"]: machine for machine in document["machines"]}
    v1 = machines["emulated:neoverse-v1"]
    guest = next(view for view in v1["old"]["views"] if view["vantage"] == "guest")
    assert guest["readings"]["CCSIDR_EL1[2]"]["value"] == "0x7ff0000003a"
    assert [cache["name"] for cache in v1["old"]["caches"]] == ["L1I", "L1D", "L2"]
    assert v1["old"]["caches"][2] == {
        "name": "L2",
        "level": 2,
        "side": "unified",
        "selector": 2,
        "size": 1 << 20,
        "human_size": "1M",
        "line": 64,
        "ways": 8,
        "sets": 2048,
        "fabricated": False,
    }
    assert (v1["old"]["ccsidr_listed"], v1["new"]["ccsidr_listed"]) == (3, 14)
    changed = {item["subject"]: (item["before"], item["after"]) for item in v1["differences"]}
    assert changed["CLIDR_EL1.LoC"] == ("2", "1")
    lost = machines["emulated:max"]["new"]
    assert lost["failure"]["status"] == "MISS"
    assert lost["views"] == []


def test_json_of_machines_with_unlike_cpus():
    document = json.loads(as_json.document(unlike()))
    m2 = document["machines"][0]
    assert [group["cpus"] for group in m2["cpu_groups"]] == [[0, 1], [2, 3]]
    assert [group["core"] for group in m2["cpu_groups"]] == ["little", "big"]
    assert m2["old"]["machine"]["declared"][3]["registers"]["CCSIDR_EL1[2]"] == "0x73ffe07b"
    assert m2["old"]["machine"]["cpu_features"] == []
    refused = [write for write in m2["old"]["writes"] if write["program"] == "sweep" and write["problem"]]
    assert {(write["name"], write["origin"], write["cpu"]) for write in refused} == {
        (f"CCSIDR_EL1[{selector}]", *pair) for selector in range(3) for pair in ((0, 2), (2, 0))
    }
    moved = [view for view in m2["new"]["views"] if view["phase"] == "moved" and view["vantage"] == "guest"]
    assert [view["cpu"] for view in moved] == [0, 1, 2, 3, 0]
    statuses = {case["check"]: case["status"] for case in m2["laws"]}
    assert statuses == dict.fromkeys(LAWS, "PASS") | {"CR-011": "SKIP"}  # there is no AArch32


def test_json_of_a_diff_and_of_a_plan():
    pair = sample(MACHINES[1], OLD), sample(MACHINES[1], NEW)
    diff = json.loads(as_json.difference(*pair, comparisons(*pair)))
    assert [case["outcome"] for case in diff["comparisons"]] == ["differs", "grew", "same"]
    plan = good().plan
    planned = json.loads(as_json.plan(plan.cells, plan.cases))
    assert planned["boots"] == 9
    assert len(planned["cases"]) == 6 * len(LAWS) + 3 * len(COMPARISONS)


def test_findings_are_gathered_only_where_they_say_the_same():
    def finding(index: int, vcpu: int, said: str = "x") -> Finding:
        return Finding(subject=f"R[{index}]", where=f"vCPU {vcpu}", said=said)

    found = [finding(index, vcpu) for vcpu in (0, 1) for index in (3, 4, 6)] + [
        finding(5, 0),
        finding(7, 1, "y"),
    ]
    assert [(item.subject, item.where, item.said) for item in gathered(found)] == [
        ("R[3-4,6]", "vCPU 0, vCPU 1", "x"),
        ("R[5]", "vCPU 0", "x"),
        ("R[7]", "vCPU 1", "y"),
    ]


def test_together_joins_neighbours_only():
    assert in_short(["A", "C[1]", "C[2]", "C[4]", "D[5]"]) == "A, C[1-2,4], D[5]"
