"""The page of a gate's decision: what it says, where it leads, and that nothing in it is markup but ours."""

import re
from itertools import pairwise

import msgspec
import pytest
from decision_samples import SAMPLES, SPECS, STRICT, document, page_of, renamed
from gate_samples import N1, good, lean, made, of, text
from report_samples import NASTY, NEW, OLD
from test_report_files import Page

from ccsight.arm64.caches import Layout
from ccsight.cli import run
from ccsight.evidence.cases import Case, Finding
from ccsight.evidence.decision import Kind, Verdict
from ccsight.evidence.record import to_json
from ccsight.report.filters import Filters
from ccsight.report.telling import telling
from ccsight.status import Status


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Each sample, by its name."""
    return {sample.__name__: sample(tmp_path_factory.mktemp("runs")) for sample in SAMPLES}


def squares(page):
    return {line.row.member: {each.kind: each for each in line.row.squares} for line in page.lines}


def test_what_to_do_is_said_in_words(pages):
    for name in ("advance", "hold", "revert"):
        page = pages[name]
        assert page.decision.verdict == name.upper()
        assert f'<span class="word">{name.upper()}</span>' in document(page)
    assert pages["advance"].said.endswith("met, by evidence.")
    assert "4 things are not as the policy asks" in pages["hold"].said
    assert "5 reasons are given" in pages["revert"].said
    assert {page.tone for page in pages.values()} == {"good", "caution", "bad"}


def test_a_reason_has_its_evidence_with_values_taken_apart(pages):
    ground = pages["revert"].grounds[0]
    assert ground.said.startswith("n1: CR-001 fails: CLIDR_EL1")
    told = ground.told[0]
    assert told.telling.title == "the guest reads what userspace is told"
    point = told.telling.points[0]
    assert (point.subject, point.before, point.after) == ("CLIDR_EL1", "0x2000021", "0x2000023")
    assert point.fields == ("Ctype1 instruction → separate I and D",)
    assert told.places[0].file.endswith("deb_6.12/1/capture.json")
    back = next(each for each in pages["revert"].grounds if each.reason.kind is Kind.ROLLBACK)
    assert [passage.vmms for passage in back.told[0].telling.passages]
    assert "KVM_SET_ONE_REG refuses it: EINVAL" in document(pages["revert"])


def test_the_matrix_has_a_letter_and_leads_to_why(pages):
    bad, fair = squares(pages["revert"]), squares(pages["hold"])
    assert (bad["n1"][Kind.LAW].letter, bad["n1"][Kind.LAW].word) == ("R", "CR-001")
    assert bad["n1"][Kind.LAW].anchor == "reason-1"
    assert bad["v1"][Kind.LAW].word == "3 pass"
    assert (bad["v1"][Kind.ROLLBACK].letter, bad["v1"][Kind.ROLLBACK].word) == ("H", "refused")
    assert {each.letter for each in fair["x1"].values()} == {"?"}
    assert {each.letter for each in fair["a57"].values()} == {"?"}
    assert fair["n1"][Kind.UPGRADE].anchor.startswith("told-")
    assert [line.row.verdict for line in pages["hold"].lines] == [Verdict.HOLD] * 4
    assert pages["hold"].lines[3].row.seen == "1 run, emulated; does not count"


def test_what_is_waived_is_said_to_be(tmp_path):
    waiver = '\n[[waiver]]\nid = "W-1"\ncheck = "CR-007"\nmachine = "n1"\nreason = "r"\nowner = "o"\n'
    policy = text(STRICT) + waiver + "expires = 2027-01-31\n"
    page = page_of(policy, made(tmp_path, good()))
    assert page.decision.verdict is Verdict.ADVANCE
    square = squares(page)["n1"][Kind.UPGRADE]
    assert (square.letter, square.anchor) == ("W", "waived")
    assert "W-1" in document(page)


@pytest.mark.parametrize("name", [sample.__name__ for sample in SAMPLES])
def test_links_lead_somewhere_and_headings_are_in_order(pages, name):
    shown = document(pages[name])
    read = Page(shown)
    assert read.open == []
    ids = [attrs["id"] for _, attrs in read.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [attrs["href"] for tag, attrs in read.tags if tag == "a"]
    assert links
    assert {link[1:] for link in links} <= set(ids)
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all("scope" in attrs for tag, attrs in read.tags if tag == "th")
    assert {"header", "main"} <= {tag for tag, _ in read.tags}
    needs = {"script", "link", "img", "iframe", "object"}
    assert not needs & {tag for tag, _ in read.tags}
    assert "default-src 'none'" in shown
    assert "url(" not in shown


def test_nothing_that_has_a_name_is_markup(pages):
    shown = document(pages["hostile"])
    assert "<script>" not in shown
    assert not set(shown) & {"\x1b", "\u202e"}
    assert shown.count("&lt;script&gt;alert(1)") > 10
    style = shown[shown.index("<style>") : shown.index("</style>")]
    assert "alert" not in style
    classes = re.findall(r'class="([^"]*)"', shown)
    assert all(re.fullmatch(r"[a-z0-9 -]*", each) for each in classes)


def test_the_same_evidence_gives_the_same_page(tmp_path):
    folder = made(tmp_path, good())
    assert document(page_of(text(), folder)) == document(page_of(text(), folder))


def test_machines_that_are_alike_are_told_together(tmp_path):
    fleet = f'{SPECS}\n[machines.twin]\nspecs = ["emulated:twin"]'
    twins = [renamed(lean(N1, kernel), machine) for machine in (N1, "emulated:twin") for kernel in (OLD, NEW)]
    page = page_of(text((SPECS, fleet)), made(tmp_path, of(*twins)))
    assert [each.machines for each in page.caches] == [("n1", "twin")]
    assert [each.machines for each in page.told] == [("n1", "twin")] * 3


def test_evidence_that_nobody_thought_of_costs_no_page(tmp_path):
    broken = lean(N1, NEW)
    odd = tuple(
        msgspec.structs.replace(
            view,
            readings={
                name: msgspec.structs.replace(each, value=None) if each.value is not None else each
                for name, each in view.readings.items()
            },
        )
        for view in broken.views
    )
    folder = made(tmp_path, good())
    path = next(folder.glob("captures/*6.12/*/capture.json"))
    path.write_bytes(to_json(msgspec.structs.replace(broken, views=odd)))
    page = page_of(text(), folder)
    assert page.decision.verdict is not Verdict.ADVANCE
    assert document(page)


def test_a_run_of_something_else_has_a_page_without_machines(tmp_path):
    folder = made(tmp_path, of(lean(N1, OLD), lean(N1, NEW)))
    page = page_of(text(('new = "deb:6.12"', 'new = "deb:6.99"')), folder)
    assert page.decision.verdict is Verdict.HOLD
    assert squares(page)["n1"][Kind.LAW].letter == "?"
    assert "no evidence" in document(page)


def test_alike_findings_are_one_point_and_long_lists_are_cut():
    found = [
        Finding(subject=f"CCSIDR_EL1[{n}]", said="no such register", before="0x2", after="ENOENT", where="a")
        for n in range(3)
    ]
    found += [Finding(subject="CLIDR_EL1.LoC", said=f"{n} → x", where="guest") for n in range(50)]
    case = Case(check="CR-001", cells=("a",), status=Status.FAIL, findings=tuple(found))
    told = telling(case, Layout.NARROW)
    assert (told.points[0].subject, told.points[0].where) == ("CCSIDR_EL1[0-2]", "a")
    assert (len(told.points), told.left_out) == (40, 11)
    assert told.points[0].fields == ()


def test_a_value_that_is_none_is_not_taken_apart():
    odd = [("0xzz", "0x1"), ("0x" + "f" * 40, "0x1"), ("", ""), ("0x1", "ENOENT")]
    found = tuple(Finding(subject="CLIDR_EL1", said="odd", before=a, after=b) for a, b in odd)
    told = telling(Case(check="CR-001", cells=("a",), status=Status.FAIL, findings=found), Layout.NARROW)
    assert [point.fields for point in told.points] == [()] * 4


def test_what_is_of_all_stays_whatever_is_chosen():
    filters = Filters.of(["a", "b", "a"], ["CR-002", "CR-001", ""], Verdict)
    assert filters.machine.choices == ("a", "b")
    assert filters.check.choices == ("CR-001", "CR-002")
    assert filters.mark(["b"], ["CR-001"], ["HOLD"]) == "m1 c0 v1"
    assert filters.mark([], [""], [NASTY]) == "m-every"
    assert [each.label for each in Filters.of(["a"], [], Verdict).all] == ["verdict"]


def test_the_verb_writes_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made(tmp_path / "results", good(), "2026-11-22-000000-good")
    (tmp_path / "rollout.toml").write_text(text(("substrate", "max_age = 36500\nsubstrate")))
    assert run(["gate", "latest", "--policy", "rollout.toml", "--html", "decision.html"]) in (0, 1)
    shown = (tmp_path / "decision.html").read_text(encoding="utf-8")
    assert "max_age = 36500\nsubstrate = &#34;emulated&#34;" in shown
    assert "emulated_neoverse-n1--deb_6.12/1/capture.json" in shown
