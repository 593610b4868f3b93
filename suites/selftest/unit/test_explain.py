"""``ccsight explain``: each row is found by what was really printed, and unknown text names its neighbour."""

import json

import pytest

from ccsight.arm64 import kvm_ids
from ccsight.arm64.kvm_id_parts import KINDS, parts
from ccsight.arm64.registers import REGISTERS, base_name
from ccsight.checks import COMPARISONS, LAWS
from ccsight.checks.advice import advice
from ccsight.cli import run
from ccsight.errors import UsageError
from ccsight.kvm.carried import CARRIED
from ccsight.kvm.messages import MESSAGES, messages
from ccsight.kvm.refusals import ANY, ERRNOS, REFUSALS, refusals
from ccsight.report.explained import explain, render

CLIDR = 0x603000000013C801


def titles(text):
    return [each.title for each in explain(text)]


@pytest.mark.parametrize(
    ("kvm_id", "bits", "kind", "encoding"),
    [
        (CLIDR, 64, "system register", (3, 1, 0, 0, 1)),
        (0x6020000000110004, 32, "demux", None),
        (0x6030000000100000, 64, "core", None),
        (0x6040000000100054, 128, "core", None),
        (0x6080000000150000, 2048, "SVE", None),
        (0x6030000000140000, 64, "firmware", None),
        (0x6030000000160003, 64, "firmware bitmap", None),
    ],
)
def test_an_id_says_width_kind_and_encoding(kvm_id, bits, kind, encoding):
    said = parts(kvm_id)
    assert (said.bits, said.kind.name, said.encoding) == (bits, kind, encoding)


@pytest.mark.parametrize("number", [0, 5, 0x2030000000110000, 0x6030000000170000, CLIDR | 1 << 30, 1 << 70])
def test_what_is_no_id_of_a_register_is_told(number):
    assert parts(number) is None


def test_every_known_name_is_the_name_of_its_id():
    for name, kvm_id in kvm_ids.known().items():
        assert kvm_ids.name(kvm_id) == name
        assert parts(kvm_id).kind in KINDS.values()


@pytest.mark.parametrize(
    "text",
    [
        "0x603000000013c801",
        "603000000013C801",
        "6931039826524489729",
        "Failed to set register 0x603000000013c801",
        "clidr_el1",
        "system register op0:3 op1:1 crn:0 crm:0 op2:1 to 0",
    ],
)
def test_a_register_is_told_however_it_is_written(text):
    found = next(each for each in explain(text) if each.title == "CLIDR_EL1")
    facts = dict(found.facts)
    assert facts["id"] == f"{CLIDR:#x}"
    assert "op1 1" in facts["encoding"]
    assert "7af0c2534f4c" in facts["may be set"]


def test_an_id_without_a_row_is_taken_apart_all_the_same():
    (found,) = explain("0x603000000013df00")
    assert found.title == "S3_3_C14_C0_0"
    assert dict(found.facts)["width"] == "64 bits"
    assert "KVM_GET_REG_LIST" in dict(found.facts)["listed"]


@pytest.mark.parametrize("row", MESSAGES, ids=lambda row: row.sample[:40])
def test_each_message_is_found_as_it_was_printed(row):
    assert row in messages(row.sample)
    assert row.sample in titles(f"[  1.0] {row.sample.upper()}\nand more")
    assert row.says
    assert row.next_step


def test_a_log_of_several_lines_is_explained_line_by_line():
    log = (
        "Could not set register demuxed reg 6020000000110000 to 701fe01a (is 700fe01a)\n"
        "qemu-system-aarch64: Failed to put registers after init: Invalid argument\n"
    )
    found = titles(log)
    assert "CCSIDR_EL1[0]" in found
    assert "CCSIDR_EL1: EINVAL" in found
    assert sum("qemu-system-aarch64" in title or "demuxed" in title for title in found) == 2


def test_a_register_and_an_errno_have_the_rules_of_each_behaviour():
    found = explain("SET CLIDR_EL1 EINVAL")
    assert [dict(each.facts).get("by") for each in found[:3]] == [
        "Linux up to v6.2",
        "Linux since v6.3",
        "any kernel",
    ]
    assert found[3].title == "CLIDR_EL1"
    assert titles("CCSIDR_EL1[15] ENOENT")[:2] == ["CCSIDR_EL1: ENOENT"] * 2


@pytest.mark.parametrize("errno", ERRNOS)
def test_an_errno_alone_has_every_rule(errno):
    assert len(explain(errno)) == sum(row.errno == errno for row in REFUSALS)


def test_refusals_name_registers_that_there_are():
    assert {row.register for row in REFUSALS} <= {*REGISTERS, ANY}
    assert {row.behaviour for row in REFUSALS} <= {"native", "normalised", ""}
    assert all(row.register in ("CTR_EL0", ANY) for row in refusals("CTR_EL0", "EINVAL"))


def test_rows_of_registers_name_registers_that_there_are():
    assert CARRIED.keys() <= {base_name(name) for name in kvm_ids.known()}


@pytest.mark.parametrize("check", [*LAWS, *COMPARISONS])
def test_a_check_is_explained(check):
    (found,) = explain(check.lower())
    assert found.title.startswith(f"{check}: ")
    assert found.next_step == advice(check)


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("CLIDR_EL2", "CLIDR_EL1"),
        ("CR-0003", "CR-003"),
        ("cacheinfo: cannot detect cache hierarchy of CPU 0", "Unable to detect cache hierarchy"),
        ("EINVALL", "EINVAL"),
        ("xyzzy 42", "known: ids and names of registers"),
    ],
)
def test_unknown_text_names_what_is_near(text, near):
    with pytest.raises(UsageError) as caught:
        render(text)
    assert near in caught.value.evidence


def test_the_verb(capsys):
    assert run(["explain", "SET", "CLIDR_EL1", "EINVAL"]) == 0
    assert "set_clidr()" in capsys.readouterr().out
    assert run(["explain", "--json", "CR-003"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["text"] == "CR-003"
    assert said["explanations"][0]["next_step"] == advice("CR-003")
    assert run(["explain", "nothing of the kind"]) == 2
    assert run(["explain"]) == 2


def test_a_misspelt_register_is_not_any_register():
    with pytest.raises(UsageError, match="CLYDR_EL1 is no register") as caught:
        explain("SET CLYDR_EL1 EINVAL")
    assert "CLIDR_EL1" in caught.value.evidence
    assert titles("SET ZCR_EL1 EINVAL")  # like none that is known: what holds for any
    assert titles("CLIDR_EL1 CLYDR_EL1 EINVAL")
