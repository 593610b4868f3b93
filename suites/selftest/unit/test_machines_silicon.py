"""The silicon table: what ships, what users add, what is refused, and how machines of it are named."""

from argparse import Namespace
from dataclasses import replace

import pytest

from ccsight.arm64.caches import Layout, geometry, human_size, listed
from ccsight.arm64.registers import CLIDR_EL1
from ccsight.campaign import compare, suite
from ccsight.campaign.planning import plan_comparison
from ccsight.cli import run
from ccsight.errors import UsageError
from ccsight.evidence.plan import Plan
from ccsight.evidence.record import from_json, to_json
from ccsight.machines import silicon_rows
from ccsight.machines.registry import machine, on_silicon, parse
from ccsight.machines.silicon import load, shipped, table

MINE = """
[core.mine]
title = "Mine"
base = "cortex-a72"
midr = "0x410fd083"
ctr = "0x8444c004"
clidr = "0x0a200023"
ccsidr = { L1D = "0x701fe00a", L1I = "0x201fe012", L2 = "0x707fe07a" }
values = "published"
source = "read on my board"
"""
BASE = """
[base.cortex-z1]
aarch32 = false
vhe = true
ccidx = false
mte = false
fwb = false
evt = 0
"""
PAIR = """
[machine.pair]
title = "A pair"
cpus = ["mine", "mine"]
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE + PAIR)
    return path


def test_what_ships():
    found = shipped()
    assert {"graviton2", "graviton3", "graviton4", "rk3588", "apple-m2", "hostile"} <= found.machines.keys()
    assert {"cortex-a53", "cortex-a72", "cortex-x925"} <= found.machines.keys()
    assert [core.name for core in found.machines["rk3588"].cores] == ["rk3588-a55"] * 2 + ["rk3588-a76"] * 2
    assert len(found.machines["graviton2"].cores) == 2


@pytest.mark.parametrize(
    ("core", "caches"),
    [
        ("graviton2", "L1I 64K, L1D 64K, L2 1M"),
        ("graviton3", "L1I 64K, L1D 64K, L2 1M"),
        ("graviton4", "L1I 64K, L1D 64K, L2 2M"),
        ("cortex-a53", "L1I 32K, L1D 32K, L2 1M"),
        ("cortex-a72", "L1I 48K, L1D 32K, L2 1M"),
        ("cortex-x925", "L1I 64K, L1D 64K, L2 2M, L3 16M"),
        ("rk3588-a55", "L1I 32K, L1D 32K, L2 128K, L3 2M"),
        ("rk3588-a76", "L1I 64K, L1D 64K, L2 512K, L3 2M"),
        ("apple-m2-blizzard", "L1I 128K, L1D 64K, L2 4M"),
        ("apple-m2-avalanche", "L1I 192K, L1D 128K, L2 16M"),
    ],
)
def test_the_caches_of_real_cores(core, caches):
    found = shipped().cores[core]
    shapes = {each.name: geometry(found.ccsidr[each.selector], found.layout) for each in listed(found.clidr)}
    assert ", ".join(f"{name} {human_size(shape.size)}" for name, shape in shapes.items()) == caches


def test_apples_point_of_coherency_is_above_a_cache():
    found = shipped().cores["apple-m2-avalanche"]
    assert CLIDR_EL1.field("LoC").extract(found.clidr) == 1
    assert listed(found.clidr)[-1].level == 2
    assert "MIDR_EL1" not in found.overrides()


def test_hostile_is_hostile():
    found = shipped().cores["hostile"]
    assert "made up" in found.title
    assert found.values == "computed"
    assert found.layout is Layout.CCIDX
    assert {each.level for each in listed(found.clidr)} == set(range(1, 8))
    assert CLIDR_EL1.field("LoC").extract(found.clidr) < 7
    assert found.clidr >> 32


@pytest.mark.parametrize("name", shipped().machines)
def test_a_row_that_is_written_reads_the_same(name):
    found = shipped().machines[name]
    again = table(silicon_rows.write(found, "my-")).machines[f"my-{name}"]
    assert [replace(core, name=core.name.removeprefix("my-")) for core in again.cores] == list(found.cores)
    assert (again.title, again.note) == (found.title, found.note)


def test_the_users_rows_are_added(file):
    found = load(file)
    assert found.text == MINE + PAIR
    assert [core.name for core in found.machines["pair"].cores] == ["mine", "mine"]
    assert found.machines.keys() > shipped().machines.keys()
    assert load(None) is shipped()
    assert table("").machines == shipped().machines


def test_a_base_of_the_users_own():
    found = table(BASE + MINE.replace("cortex-a72", "cortex-z1"))
    assert found.bases["cortex-z1"].vhe
    assert found.bases["cortex-z1"].dczid == 4


@pytest.mark.parametrize(
    ("text", "fact", "evidence"),
    [
        ("[core.mine\nbase = 1", "f.toml is not TOML", "line 1"),
        (MINE + f"evt = {'9' * 5000}", "f.toml is not TOML", "4300 digits"),
        pytest.param("core = " + "[" * 9000, "f.toml is not TOML", "recursion", id="deep"),
        ("[cores.mine]", "f.toml: [cores] is no kind of row", "did you mean 'core'"),
        ("core = 1", "f.toml: core is not a table of rows", ""),
        ("[core]\nmine = 1", "f.toml: [core.mine] is malformed", "got `int`"),
        (MINE.replace("core.mine", 'core."a,b"'), "[core.a,b] has a name that cannot be part of a spec", ""),
        (
            MINE.replace("clidr =", "cldir ="),
            "[core.mine] has an unknown key 'cldir'",
            "did you mean 'clidr'",
        ),
        (MINE.replace("midr =", "# midr ="), "[core.mine] is malformed", "missing required field `midr`"),
        (MINE.replace('"0x8444c004"', "0x8444c004"), "[core.mine] is malformed", 'a string, "0x…"'),
        (MINE.replace("0x8444c004", "0x1_8444c004_00000000"), "[core.mine] is malformed", "at most 64 bits"),
        (MINE.replace('"published"', '"guessed"'), "[core.mine] is malformed", "'guessed'"),
        (MINE + "evt = 3", "[core.mine] is malformed", "<= 2"),
        (MINE.replace("L2 =", "LX ="), "[core.mine]: ccsidr has no cache 'LX'", "did you mean"),
        (
            MINE.replace("L2 =", "L2D ="),
            "[core.mine]: clidr lists no L2D",
            "clidr = 0xa200023: did you mean 'L2'",
        ),
        (
            MINE.replace("cortex-a72", "cortex-a722"),
            "nothing is known of the base",
            "did you mean 'cortex-a72'",
        ),
        (
            MINE.replace("0x0a200023", "0x0a200123"),
            "f.toml: [core.mine] cannot be",
            "clidr = 0xa200123: every cache",
        ),
        (
            MINE.replace("0x8444c004", "0x8449c004"),
            "f.toml: [core.mine] cannot be",
            "DDI 0487 D24.2, CTR_EL0",
        ),
        (MINE.replace("core.mine", "core.graviton2"), "[core.graviton2] has the name of another row", ""),
        (
            MINE.replace("core.mine", "core.rk3588"),
            "[core.rk3588] has the name of another row",
            "by itself a machine",
        ),
        (
            MINE + PAIR.replace("pair", "mine"),
            "[machine.mine] has the name of another row",
            "by itself a machine",
        ),
        (MINE + PAIR.replace("pair", "rk3588"), "[machine.rk3588] has the name of another row", ""),
        (BASE.replace("cortex-z1", "max"), "[base.max] has the name of another row", ""),
        (PAIR, "f.toml: [machine.pair]: there is no core 'mine'", "known: graviton2"),
        (PAIR.replace('"mine", "mine"', ""), "f.toml: [machine.pair] cannot be", "1 to 8 CPUs"),
        (
            PAIR.replace('"mine", "mine"', '"graviton2", "graviton3"'),
            "[machine.pair] cannot be",
            "have one base",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(text, fact, evidence):
    with pytest.raises(UsageError) as caught:
        table(text, "f.toml")
    assert fact in caught.value.fact
    assert evidence in caught.value.evidence


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "mine.toml"
    if content:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"the silicon table .* cannot be read"):
        load(path)


@pytest.mark.parametrize(
    ("text", "model", "cpus"),
    [
        ("silicon:rk3588", "cortex-a76", 4),
        ("silicon:graviton2", "neoverse-n1", 2),
        ("silicon:graviton2,cpus=8,memory=1024", "neoverse-n1", 8),
        ("silicon:graviton2,base=cortex-a57", "cortex-a57", 2),
        ("silicon:apple-m2,base=neoverse-v1", "neoverse-v1", 4),
    ],
)
def test_machines_by_spec(text, model, cpus):
    found = machine(text)
    assert found.spec == text
    assert (found.board.model, found.board.cpus) == (model, cpus)
    assert on_silicon(parse(text), shipped()).base == model


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("silicon:rk3599", "did you mean 'rk3588'"),
        ("silicon:graviton2,cpu=2", "did you mean 'cpus'"),
        ("silicon:graviton2,cpus=9", "1 to 8"),
        ("silicon:rk3588,cpus=2", "its row names its CPUs"),
        ("silicon:rk3588,mode=none", "nvhe, protected or nested"),
        ("silicon:graviton2,base=neoverse-n3", "did you mean 'neoverse-n"),
        ("silicon:graviton3,base=cortex-a57", "evt is at most what the base has"),
        ("silicon:mine", "--silicon FILE"),
        ("emulated:max,base=cortex-a57", "is not an option of emulated"),
    ],
)
def test_a_bad_spec_is_a_usage_error(text, message):
    with pytest.raises(UsageError, match=message):
        machine(text)
    if text.startswith("silicon:"):
        with pytest.raises(UsageError, match=message):
            on_silicon(parse(text), shipped())


def test_a_run_keeps_the_users_rows(file):
    found = load(file)
    request = compare.Request(("deb:6.1", "deb:6.12"), ("silicon:pair",), ("ccsight",), found)
    (asked,) = compare.checked(request)
    assert asked.spec == "silicon:pair"
    plan = plan_comparison([], request.machines, request.again, found.text)
    kept = from_json(to_json(plan), Plan).silicon
    assert machine("silicon:pair", table(kept)).board.model == "cortex-a72"


def test_the_suites_take_the_users_rows(file, monkeypatch):
    asked = []

    def start(results, request):
        asked.append(request)
        raise KeyboardInterrupt

    monkeypatch.setattr(suite, "start", start)
    options = Namespace(
        evidence=None,
        old=None,
        new=None,
        on=["silicon:pair"],
        silicon=str(file),
        results="results",
        fuzz=300,
        linux=False,
        rules=False,
        native_cap=0,
        no_migrate=True,
        across=False,
        pmu=False,
    )
    with pytest.raises(KeyboardInterrupt):
        suite.suite_of(options, None)
    assert asked[0].again[-3:] == ("--silicon", str(file), "--no-migrate")
    assert "pair" in asked[0].table.machines


def test_compare_takes_the_users_rows(file, capsys):
    assert run(["compare", "--dry-run", "--on", "silicon:pair", "--silicon", str(file)]) == 0
    assert "silicon:pair  deb:6.12" in capsys.readouterr().out
    assert run(["compare", "--dry-run", "--on", "silicon:pair"]) == 2
    assert run(["compare", "--dry-run", "--silicon", str(file) + "x"]) == 2
    assert run(["compare", "--resume", "latest", "--silicon", str(file)]) == 2
    assert "given as well: --silicon" in capsys.readouterr().err
