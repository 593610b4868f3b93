"""A gate's policy: strict, and helpful about what it does not know. Fields, outcomes, waivers."""

import pytest
from gate_samples import text
from hypothesis import given
from hypothesis import strategies as st

from ccsight.checks import LAWS
from ccsight.errors import UsageError
from ccsight.evidence.decision import Kind
from ccsight.evidence.model import Substrate
from ccsight.gate.policy import covers
from ccsight.gate.policy_file import EXAMPLE, read

N1_SPECS = 'specs = ["emulated:neoverse-n1"]'
WAIVER = """
[[waiver]]
id = "W-7"
check = "CR-008"
field = "CLIDR_EL1"
machine = "n1"
direction = "rollback"
reason = "nobody goes back"
owner = "kvm-team"
expires = 2027-01-31
"""


def test_the_example_is_a_policy_and_has_every_table_and_key():
    example = EXAMPLE.read_text(encoding="utf-8")
    found = read(example, "example.toml")
    assert [member.name for member in found.fleet] == ["graviton3", "rk3588"]
    assert found.waivers[0].id == "W-7"
    for key in ("observations", "max_age", "control", "must_pass", "predicates", "accept", "fields",
                "baseline", "vmms", "strategies", "asked", "cores", "specs", "substrate"):  # fmt: skip
        assert key in example


def test_what_is_not_said_is_strict():
    found = read(
        'schema = 1\n[kernels]\nold = "deb:6.1"\nnew = "deb:6.12"\n[machines.a]\nspecs = ["local"]\n', "p"
    )
    assert (found.wanted.observations, found.wanted.max_age, found.fleet[0].substrate) == (
        1,
        30,
        Substrate.METAL,
    )
    assert found.laws == ()
    assert {kind: demand.accepted for kind, demand in found.demands.items()} == {
        Kind.LAUNCH: {"same"},
        Kind.UPGRADE: {"transparent"},
        Kind.ROLLBACK: {"transparent"},
    }


@pytest.mark.parametrize(
    ("line", "other", "fact", "hint"),
    [
        ("schema = 1", "schema = 2", "schema 2", "--example"),
        ("schema = 1", "", "no schema", "--example"),
        ("[evidence]", "[evidense]", "unknown key 'evidense'", "did you mean 'evidence'?"),
        ('substrate = "emulated"', 'substrat = "metal"', "unknown key 'substrat'", "'substrate'"),
        ('substrate = "emulated"', 'substrate = "mettal"', "no substrate 'mettal'", "did you mean 'metal'?"),
        ('substrate = "emulated"', 'substrate = "unknown"', "no substrate 'unknown'", "known: "),
        ('substrate = "emulated"', "observations = 0", "observations is 0", "--example"),
        ('substrate = "emulated"', "max_age = 0", "max_age is 0", "--example"),
        ('substrate = "emulated"', 'max_age = "x"', "malformed", "Expected `int`"),
        ('new = "deb:6.12"', 'new = "deb:6.1"', "the same", "--example"),
        ('new = "deb:6.12"', 'new = ""', "no name", "--example"),
        ('new = "deb:6.12"', 'new = "build-id:xyz"', "no build-id", "--example"),
        ('specs = ["emulated:neoverse-n1"]', "", "names no specs", "--example"),
        ("[machines.n1]", f"[machines.b]\n{N1_SPECS}\n[machines.n1]", "of two", "--example"),
        ('"CR-001"', '"CR-099"', "no law 'CR-099'", "did you mean"),
        ('"CR-001"', '"CR-008"', "CR-008 is a comparison", "[rollback]"),
        ('accept = "differs"', 'accept = "differ"', "no outcome 'differ'", "did you mean 'differs'?"),
        ('accept = "refused"', 'accept = "refusd"', "no outcome 'refusd'", "did you mean 'refused'?"),
        ('accept = "refused"', 'vmms = ["Firecraker"]', "no VMM 'Firecraker'", "'Firecracker'"),
        ('accept = "refused"', 'strategies = ["profile"]', "no strategy 'profile'", "'profiled'"),
        ('accept = "refused"', "fields = { CLYDR_EL1 = 'lossy' }", "no register 'CLYDR_EL1'", "'CLIDR_EL1'"),
        ('accept = "differs"', "fields = { 'CLIDR_EL1.LoX' = 'differs' }", "no field 'LoX'", "'LoC'"),
        ('accept = "refused"', "fields = { 'CLIDR_EL1.LoC' = 'refused' }", "not fields", "name CLIDR_EL1"),
        ("[launch]", "predicates = ['guest.CLIDR_EL1.LoQ == 1']\n[launch]", "no field 'LoQ'", "LoC"),
        ("[launch]", "predicates = ['same as x.json']\n[launch]", "names no files", "baseline = true"),
    ],
)  # fmt: skip
def test_what_names_nothing_is_refused_with_the_nearest(line, other, fact, hint):
    with pytest.raises(UsageError) as caught:
        read(text((line, other)), "rollout.toml")
    assert fact in caught.value.fact
    assert hint in f"{caught.value.evidence} {caught.value.next_step}"


@pytest.mark.parametrize(
    ("line", "other", "fact"),
    [
        ('check = "CR-008"', 'check = "CR-88"', "there is no check 'CR-88'"),
        ('field = "CLIDR_EL1"', 'field = "CLIDR"', "there is no register 'CLIDR'"),
        ('machine = "n1"', 'machine = "n2"', "no machine 'n2'"),
        ('direction = "rollback"', 'direction = "upgrade"', "the direction is 'upgrade'"),
        ('owner = "kvm-team"', 'owner = " "', "has no owner"),
        ('owner = "kvm-team"', "", "malformed"),
        ("expires = 2027-01-31", 'expires = "soon"', "malformed"),
        ('reason = "nobody goes back"', 'reason = "x"\nreasons = "y"', "unknown key 'reasons'"),
    ],
)
def test_a_waiver_is_as_strict(line, other, fact):
    with pytest.raises(UsageError) as caught:
        read(text() + WAIVER.replace(line, other), "rollout.toml")
    assert fact in caught.value.fact


def test_a_waiver_is_there_once():
    with pytest.raises(UsageError, match="is there twice"):
        read(text() + WAIVER + WAIVER, "rollout.toml")


@pytest.mark.parametrize(
    ("field", "subject", "is_so"),
    [
        ("CLIDR_EL1", "CLIDR_EL1", True),
        ("CLIDR_EL1", "CLIDR_EL1.LoC", True),
        ("CLIDR_EL1.LoC", "CLIDR_EL1.LoC", True),
        ("CLIDR_EL1.LoC", "CLIDR_EL1.LoUU", False),
        ("CLIDR_EL1.LoC", "CLIDR_EL1", False),
        ("CCSIDR_EL1", "CCSIDR_EL1[3]", True),
        ("CCSIDR_EL1[3]", "CCSIDR_EL1[3].NumSets", True),
        ("CCSIDR_EL1[3]", "CCSIDR_EL1[4]", False),
        ("CCSIDR_EL1.NumSets", "CCSIDR_EL1[4].NumSets", True),
        ("CTR_EL0", "CLIDR_EL1", False),
        ("CTR_EL0", "", False),
    ],
)
def test_a_register_stands_for_its_fields_and_never_the_other_way(field, subject, is_so):
    assert covers(field, subject) is is_so


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(garbage):
    with pytest.raises(UsageError):
        read(garbage, "rollout.toml")


def test_all_laws_can_be_required():
    assert read(text(laws=sorted(LAWS)), "p").laws == tuple(sorted(LAWS))
