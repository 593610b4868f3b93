"""The plugin without QEMU: linked with a stand-in for it, and run under the sanitizers.

``fake_qemu.c`` runs scripts of translated blocks, traps and interrupts; the table is the one that a
machine gets. What a real QEMU does is for the emulated suite to show.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from core_samples import FULL, SPARSE

from ccsight.arm64.registers import ID_AA64MMFR2_EL1, SELECTORS
from ccsight.evidence.model import Declared
from ccsight.machines import tcg_plugin
from ccsight.machines.overrides import Met, Overrides, Site

#: Register -> its bits in an MRS: op0, op1, CRn, CRm, op2.
ENCODINGS = {
    "CTR_EL0": (3, 3, 0, 0, 1),
    "CLIDR_EL1": (3, 1, 0, 0, 1),
    "ID_AA64MMFR2_EL1": (3, 0, 0, 7, 2),
    "DCZID_EL0": (3, 3, 0, 0, 7),
    "MIDR_EL1": (3, 0, 0, 0, 0),
    "REVIDR_EL1": (3, 0, 0, 0, 6),
    "CCSIDR_EL1": (3, 1, 0, 0, 0),
    "CCSIDR2_EL1": (3, 1, 0, 0, 2),
    "CSSELR_EL1": (3, 2, 0, 0, 0),
    "MDSCR_EL1": (2, 0, 0, 2, 2),
}
NOP = 0xD503201F
MOV_X4_X3 = 0xAA0303E4
#: Where blocks are: in the upper half, as a kernel's.
PC = 0xFFFF_8000_8000_1000
#: What fake_qemu.c's CPUs read by themselves.
NATIVE = 0x1122_3344_5566_7788
EL2, EL1 = 0x3C9, 0x3C5
ROUNDS = 150


def mrs(register: str, to: int = 3) -> int:
    op0, op1, crn, crm, op2 = ENCODINGS[register]
    return 0xD5200000 | op0 << 19 | op1 << 16 | crn << 12 | crm << 8 | op2 << 5 | to


def block(number: int, *words: int, pc: int = PC, state: str = "a64") -> str:
    return f"block {number} {state} {pc:#x} {' '.join(map(hex, words))}"


CTR_IN_BLOCK = block(0, mrs("CTR_EL0"), NOP)
CTR_ENDS_BLOCK = block(0, NOP, mrs("CTR_EL0"))
AT_MRS, BEHIND_MRS = PC + 4, PC + 8
#: What comes next in memory after CTR_ENDS_BLOCK, and something elsewhere.
NEXT_BLOCK = block(1, NOP, pc=BEHIND_MRS)
ELSEWHERE = block(2, NOP, pc=0x4000)


@dataclass(frozen=True)
class Ran:
    """What a script printed, as lists of numbers by name, and what the table held afterwards."""

    values: dict[str, list[int]]
    met: Met
    declared: tuple[Declared, ...]
    stderr: str
    status: int

    def one(self, name: str) -> int:
        (value,) = self.values[name]
        return value

    @property
    def hits(self) -> dict[str, int]:
        """How often each reading of the first CPU was overridden, without those that never were."""
        return {name: hits for name, hits in self.declared[0].hits.items() if hits}


class FakeQemu:
    def __init__(self, argv: list[str | Path]) -> None:
        self._argv = argv

    def run(self, *script, cores=(FULL,), cpus=None, rounds=0, names="cpsr,CSSELR", spoil=None) -> Ran:
        with Overrides(cores, Path("silicon.so")) as overrides:
            if spoil:
                spoil(overrides.descriptors[0])
            option = overrides.argv[1].removeprefix("silicon.so,")
            done = self.start(
                cpus or len(cores), rounds, names, option, script=script, pass_fds=overrides.descriptors
            )
            values: dict[str, list[int]] = {}
            for line in done.stdout.splitlines():
                name, value = line.split()
                values.setdefault(name, []).append(int(value, 0))
            return Ran(values, overrides.met(), overrides.declared(), done.stderr, done.returncode)

    def start(self, *argv, script=(), pass_fds=()):
        return subprocess.run(
            [*self._argv, *map(str, argv)],
            input="\n".join(script),
            capture_output=True,
            text=True,
            pass_fds=pass_fds,
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="session", params=["address,undefined", "thread"])
def qemu(request, tmp_path_factory) -> FakeQemu:
    program = tmp_path_factory.mktemp("plugin") / "fake_qemu"
    flags = ["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread"]
    flags += [f"-fsanitize={request.param}", "-fno-sanitize-recover=all", f"-I{tcg_plugin.SOURCES}"]
    sources = [Path(__file__).with_name("fake_qemu.c"), tcg_plugin.SOURCES / "silicon.c"]
    subprocess.run(["gcc", *flags, "-o", program, *sources], check=True)
    return FakeQemu([*_steady(request.param), program])


def _steady(sanitizer: str) -> list[str]:
    """Older thread sanitizers know fewer places for the memory than newer kernels choose from."""
    steady = ["setarch", "--addr-no-randomize"]
    allowed = subprocess.run([*steady, "true"], capture_output=True, check=False).returncode == 0
    return steady if sanitizer == "thread" and allowed else []


@pytest.fixture
def run(qemu):
    """Run a script that must end well, and lose no read."""

    def run(*script, **options) -> Ran:
        ran = qemu.run(*script, **options)
        assert (ran.stderr, ran.status, ran.met.strays) == ("", 0, 0)
        assert ran.one("installed") == ran.one("wrong") == 0
        return ran

    return run


# --- where an MRS stands, and what comes behind it --------------------------------------------------------


def test_within_a_block_the_next_instruction_has_the_value(run):
    ran = run(block(0, mrs("CTR_EL0"), MOV_X4_X3, NOP), "run 0", "show x3", "show x4")
    assert ran.one("x3") == ran.one("x4") == FULL.ctr
    assert ran.hits == {"CTR_EL0": 1}
    assert ran.met.sites == (Site(pc=PC, insn=mrs("CTR_EL0"), hits=1, ended_block=False),)


def test_reads_that_follow_each_other_get_a_value_each(run):
    ran = run(
        block(0, mrs("CTR_EL0", 0), mrs("CLIDR_EL1", 1), mrs("DCZID_EL0", 30)),
        block(1, mrs("CTR_EL0", 2), pc=PC + 12),
        block(2, NOP, pc=PC + 16),
        *("run 0", "run 1", "run 2", "show x0", "show x1", "show x30", "show x2"),
    )
    assert (ran.one("x0"), ran.one("x1"), ran.one("x2")) == (FULL.ctr, FULL.clidr, FULL.ctr)
    assert ran.one("x30") == NATIVE & ~0xF | FULL.dczid
    assert ran.hits == {"CTR_EL0": 2, "CLIDR_EL1": 1, "DCZID_EL0": 1}


@pytest.mark.parametrize(
    "behind",
    [
        pytest.param([NEXT_BLOCK, "run 1"], id="next-block"),
        pytest.param([f"interrupt {BEHIND_MRS:#x}"], id="interrupt"),
        pytest.param([f"exception {BEHIND_MRS:#x}"], id="fetch-fails"),
    ],
)
def test_what_ends_a_block_is_overridden_by_what_comes_next(run, behind):
    ran = run(CTR_ENDS_BLOCK, "run 0", "show x3", *behind, "show x3")
    assert ran.values["x3"] == [NATIVE, FULL.ctr]
    assert ran.hits == {"CTR_EL0": 1}
    assert ran.met.sites == (Site(pc=AT_MRS, insn=mrs("CTR_EL0"), hits=1, ended_block=True),)


def test_it_is_overridden_only_once(run):
    behind = [NEXT_BLOCK, "run 0", f"interrupt {BEHIND_MRS:#x}", "show x3", "set x3 7"]
    ran = run(CTR_ENDS_BLOCK, *behind, "run 1", f"interrupt {BEHIND_MRS:#x}", "run 1", "show x3")
    assert ran.values["x3"] == [FULL.ctr, 7]
    assert ran.hits == {"CTR_EL0": 1}


@pytest.mark.parametrize("code", [CTR_IN_BLOCK, CTR_ENDS_BLOCK], ids=["in-block", "ends-block"])
def test_what_traps_is_left_to_whoever_traps_it(run, code):
    behind = int(code.split()[3], 16) + 4 * (code.split().index(hex(mrs("CTR_EL0"))) - 3)
    emulated = ["set x3 0xfa11", ELSEWHERE, "run 2", block(1, NOP, pc=behind), "run 1"]
    ran = run(code, "trap 0", *emulated, "show x3", "run 0", block(1, NOP, pc=behind), "run 1", "show x3")
    assert ran.values["x3"] == [0xFA11, FULL.ctr]
    assert ran.hits == {"CTR_EL0": 1}


def test_a_read_whose_end_is_lost_is_counted_and_left_alone(qemu):
    lost = ["run 0", ELSEWHERE, "run 2", "run 0", "interrupt 0x4000", "show x3"]
    ran = qemu.run(CTR_ENDS_BLOCK, *lost, "run 2", "show x3")
    assert (ran.stderr, ran.status, ran.met.strays) == ("", 0, 2)
    assert ran.values["x3"] == [NATIVE, NATIVE]
    assert ran.hits == {}


@pytest.mark.parametrize("pc", [PC, PC + 0xFF8], ids=["in-page", "ends-page"])
def test_a_page_that_is_mapped_elsewhere_too_is_translated_once(run, pc):
    """As a library's, in another process: what runs next, and what traps, is at the other address."""
    code = block(0, NOP, mrs("CTR_EL0"), pc=pc)
    there = 0x7000_0000 + pc % 0x1000
    ran = run(code, block(1, NOP, pc=there + 8), "run 0", "run 1", "show x3")
    assert (ran.values["x3"], ran.hits) == ([FULL.ctr], {"CTR_EL0": 1})
    ran = run(code, "run 0", f"interrupt {there + 8:#x}", "show x3")
    assert (ran.values["x3"], ran.hits) == ([FULL.ctr], {"CTR_EL0": 1})
    ran = run(code, "run 0", f"exception {there + 4:#x}", "show x3")
    assert (ran.values["x3"], ran.hits) == ([NATIVE], {})


def test_an_interrupt_elsewhere_means_nothing(run):
    ran = run(CTR_IN_BLOCK, "interrupt 0x4000", "run 0", "interrupt 0x4000", "show x3")
    assert ran.one("x3") == FULL.ctr


# --- what is read, and what of it is overridden -----------------------------------------------------------


@pytest.mark.parametrize("register", ["CTR_EL0", "CLIDR_EL1", "MIDR_EL1", "REVIDR_EL1"])
def test_whole_registers(run, register):
    ran = run(block(0, mrs(register), NOP), "run 0", "show x3")
    assert ran.one("x3") == ran.declared[0].registers[register]
    assert ran.hits == {register: 1}


def test_only_the_given_bits_change(run):
    words = [mrs("ID_AA64MMFR2_EL1", 3), mrs("DCZID_EL0", 4), NOP]
    ran = run(block(0, *words), "run 0", "show x3", "show x4")
    ccidx, evt = (ID_AA64MMFR2_EL1.field(name) for name in ("CCIDX", "EVT"))
    assert ran.one("x3") == NATIVE & ~(ccidx.mask | evt.mask) | 1 << ccidx.lo | 2 << evt.lo
    assert ran.one("x4") == NATIVE & ~0xF | 0x7


@pytest.mark.parametrize("register", ["MIDR_EL1", "REVIDR_EL1"])
@pytest.mark.parametrize("words", [(NOP,), ()], ids=["in-block", "ends-block"])
def test_identification_is_overridden_at_el2_only(run, register, words):
    code, behind = block(0, mrs(register), *words), block(1, NOP, pc=PC + 4)
    ran = run(
        *(code, behind, "run 0", "run 1", "show x3"),
        *(f"set pstate {EL1:#x}", "run 0", "run 1", "show x3"),
        *("set pstate 0x3cd", "run 0", "run 1", "show x3"),
    )
    assert ran.values["x3"] == [ran.declared[0].registers[register], NATIVE, NATIVE]
    assert ran.hits == {register: 1}


def test_the_level_is_that_of_the_read_and_not_of_the_exception_behind_it(run):
    code = block(0, mrs("MIDR_EL1"))
    to_el1, to_el2 = ((f"set pstate {to:#x}", f"exception {PC + 4:#x}") for to in (EL1, EL2))
    ran = run(code, "run 0", *to_el1, "show x3", "run 0", *to_el2, "show x3")
    assert ran.values["x3"] == [FULL.midr, NATIVE]


@pytest.mark.parametrize("register", ["CCSIDR_EL1", "CCSIDR2_EL1"])
def test_sizes_go_by_the_selector(run, register):
    each = [line for s in range(32) for line in (f"set csselr {s}", "run 0", "show x3")]
    ran = run(block(0, mrs(register), NOP), *each)
    declared = [ran.declared[0].registers[f"{register}[{selector}]"] for selector in SELECTORS]
    assert len(set(declared)) == 14
    assert ran.values["x3"] == [*declared, *[NATIVE] * (32 - 14)]
    assert ran.hits == {f"{register}[{selector}]": 1 for selector in SELECTORS}


def test_a_selector_of_many_bits_is_none(run):
    ran = run(block(0, mrs("CCSIDR_EL1"), NOP), f"set csselr {1 << 32:#x}", "run 0", "show x3")
    assert ran.one("x3") == NATIVE


def test_what_the_core_does_not_give_stays(run):
    ran = run(
        block(0, mrs("DCZID_EL0"), NOP),
        block(1, mrs("REVIDR_EL1"), NOP),
        block(2, mrs("CCSIDR_EL1"), NOP),
        block(3, mrs("CCSIDR2_EL1"), NOP),
        *(line for number in range(4) for line in (f"run {number}", "show x3", "set x3 0")),
        *("set csselr 2", "run 2", "show x3"),
        cores=(SPARSE,),
    )
    assert ran.values["x3"] == [NATIVE] * 4 + [SPARSE.ccsidr[2]]
    assert ran.hits == {"CCSIDR_EL1[2]": 1}
    assert sum(site.hits for site in ran.met.sites) == 1
    assert ran.met.sites_met == 4


def test_only_an_mrs_of_these_registers_is_looked_at(run):
    write = mrs("CTR_EL0") & ~(1 << 21)
    ran = run(block(0, mrs("CSSELR_EL1"), mrs("MDSCR_EL1"), write, NOP), "run 0", "show x3")
    assert ran.one("x3") == NATIVE
    assert ran.met.sites == ()


@pytest.mark.parametrize("words", [(NOP,), ()], ids=["in-block", "ends-block"])
def test_no_register_takes_the_value_of_an_mrs_to_xzr(run, words):
    code, behind = block(0, mrs("CTR_EL0", 31), *words), block(1, NOP, pc=PC + 4)
    shown = [f"show x{number}" for number in range(31)]
    ran = run(code, behind, "run 0", "run 1", *shown)
    assert [ran.one(f"x{number}") for number in range(31)] == [0] * 31
    assert ran.met.sites == ()


@pytest.mark.parametrize("state", ["a32", "mute"])
@pytest.mark.parametrize("words", [(NOP,), ()], ids=["in-block", "ends-block"])
def test_an_aarch32_instruction_that_looks_like_an_mrs_is_none(run, state, words):
    behind = block(1, NOP, pc=PC + 4)
    code = block(0, mrs("CTR_EL0"), *words, state=state)
    ran = run(code, behind, "set x3 0xbadcafe", "run 0", "run 1", "show x3")
    assert ran.one("x3") == (0xBADCAFE if state == "a32" else NATIVE)
    assert ran.met.sites == ()


# --- blocks and CPUs --------------------------------------------------------------------------------------


def test_code_that_changes_is_looked_at_again(run):
    other = block(0, mrs("CLIDR_EL1"), NOP)
    none = block(0, NOP, NOP)
    ran = run(
        *(CTR_IN_BLOCK, "run 0", "show x3"),
        *(other, "run 0", "show x3"),
        *(none, "set x3 7", "run 0", "show x3"),
        *(CTR_IN_BLOCK, "run 0", "show x3"),
    )
    assert ran.values["x3"] == [FULL.ctr, FULL.clidr, 7, FULL.ctr]
    assert ran.met.sites_met == 2
    assert [(site.insn, site.hits) for site in ran.met.sites] == [(mrs("CTR_EL0"), 2), (mrs("CLIDR_EL1"), 1)]


def test_a_site_is_one_wherever_its_blocks_end(run):
    alone = block(1, mrs("CTR_EL0"), pc=AT_MRS)
    longer = block(2, NOP, mrs("CTR_EL0"), NOP)
    ran = run(*(longer, "run 2", alone, "run 1", block(3, NOP, pc=BEHIND_MRS), "run 3", "show x3"))
    assert ran.one("x3") == FULL.ctr
    assert ran.met.sites == (Site(pc=AT_MRS, insn=mrs("CTR_EL0"), hits=2, ended_block=True),)


def test_more_sites_than_the_table_shows_are_overridden_all_the_same(run):
    count = 2048 + 200
    each = [
        line
        for number in range(count)
        for line in (
            block(0, mrs("CTR_EL0"), NOP, pc=PC + 8 * number),
            "set x3 0",
            "run 0",
            "expect x3 0x9444c005",
        )
    ]
    ran = run(*each, block(0, mrs("CTR_EL0"), NOP, pc=PC + 8 * (count - 1)), "run 0")
    assert ran.met.sites_met == count
    assert [site.pc for site in ran.met.sites] == [PC + 8 * number for number in range(2048)]
    assert {site.hits for site in ran.met.sites} == {1}
    assert ran.hits == {"CTR_EL0": count + 1}


def test_each_cpu_has_its_own_values_and_its_own_end_of_a_block(run):
    ran = run(
        *(CTR_ENDS_BLOCK, NEXT_BLOCK, "run 0", "cpu 1", "run 0", "cpu 0", "run 1", "show x3"),
        *("cpu 1", "show x3", f"interrupt {BEHIND_MRS:#x}", "show x3", "run 0"),
        *("cpu 0", "run 1", "show x3", "cpu 1", f"interrupt {AT_MRS:#x}", "show x3"),
        cores=(FULL, SPARSE),
    )
    assert ran.values["x3"] == [FULL.ctr, NATIVE, SPARSE.ctr, FULL.ctr, NATIVE]
    assert [declared.hits["CTR_EL0"] for declared in ran.declared] == [1, 1]


def test_cpus_translate_and_run_at_the_same_time(qemu):
    cores = (FULL, SPARSE, FULL, SPARSE)
    ctr = f"expect x3 {' '.join(hex(core.ctr) for core in cores)}"
    ccsidr = f"expect x3 {' '.join(hex(core.ccsidr[2]) for core in cores)}"
    script = [
        *("set csselr 2", CTR_ENDS_BLOCK, "run 0", f"interrupt {BEHIND_MRS:#x}", ctr),
        *(block(3, mrs("CCSIDR_EL1"), NOP), "run 3", ccsidr),
        *(NEXT_BLOCK, "run 0", "run 1", ctr, "trap 0", "run 0", "interrupt 0x4000"),
    ]
    ran = qemu.run(*script, cores=cores, rounds=ROUNDS)
    assert (ran.stderr, ran.status) == ("", 0)
    assert ran.one("installed") == ran.one("wrong") == 0
    assert ran.met.strays == 4 * ROUNDS
    assert [declared.hits["CTR_EL0"] for declared in ran.declared] == [2 * ROUNDS] * 4
    assert [declared.hits["CCSIDR_EL1[2]"] for declared in ran.declared] == [ROUNDS] * 4
    assert sorted((site.pc, site.hits) for site in ran.met.sites) == [(PC, 4 * ROUNDS), (AT_MRS, 8 * ROUNDS)]


# --- what is refused --------------------------------------------------------------------------------------


def test_without_a_table_it_says_what_it_was_loaded_into(qemu):
    done = qemu.start(1, 0, "cpsr,CSSELR")
    assert done.stdout == "installed -1\n"
    assert done.stderr == "ccsight-silicon: plugin API 2 to 7, target aarch64\n"
    assert tcg_plugin.SAID.search(done.stderr).groups() == ("2", "7")


@pytest.mark.parametrize("options", [["table=x", "y=1"], ["silicon=x"]])
def test_other_options_are_no_table(qemu, options):
    done = qemu.start(1, 0, "cpsr,CSSELR", *options)
    assert (done.stdout, done.returncode) == ("installed -1\n", 0)
    assert done.stderr.startswith("ccsight-silicon: plugin API ")


@pytest.mark.parametrize("path", ["", "/no/such", "/dev/null"])
def test_a_table_that_cannot_be_read_is_refused(qemu, path):
    done = qemu.start(1, 0, "cpsr,CSSELR", f"table={path}")
    assert (done.stdout, done.returncode) == ("installed -1\n", 0)
    assert done.stderr == f"ccsight-silicon: table={path} is not a table of this ccsight\n"


def test_another_ccsights_table_is_refused(qemu):
    ran = qemu.run(spoil=lambda fd: os.pwrite(fd, b"\x32", 0))
    assert (ran.values, ran.status) == ({"installed": [-1]}, 0)
    assert ran.stderr.endswith("is not a table of this ccsight\n")


def test_a_table_of_more_cpus_than_there_is_room_for_is_refused(qemu):
    ran = qemu.run(cpus=1, spoil=lambda fd: os.pwrite(fd, b"\x09", 8))
    assert (ran.values, ran.status) == ({"installed": [-1]}, 0)
    assert ran.stderr.endswith("is not a table of this ccsight\n")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"cpus": 2}, "QEMU has more CPUs than the table"),
        ({"names": "pstate,CSSELR"}, "QEMU does not name the registers as it did when this was tried"),
        ({"names": "cpsr,CCSELR_EL1"}, "QEMU does not name the registers as it did when this was tried"),
    ],
    ids=["more-cpus", "no-cpsr", "no-csselr"],
)
def test_a_qemu_that_is_not_as_expected_ends_with_the_reason(qemu, options, why):
    ran = qemu.run(CTR_IN_BLOCK, "run 0", **options)
    assert ran.stderr.splitlines()[0] == f"ccsight-silicon: {why}"
    assert ran.status != 0
    assert "wrong" not in ran.values


def test_the_selector_has_one_of_two_names(run):
    code = block(0, mrs("CCSIDR_EL1"), NOP)
    ran = run(code, "set csselr 3", "run 0", "show x3", names="cpsr,CSSELR_EL1")
    assert ran.one("x3") == FULL.ccsidr[3]


def test_every_cpu_that_starts_is_counted(qemu):
    with Overrides((FULL,) * 8, Path("silicon.so")) as overrides:
        option = overrides.argv[1].removeprefix("silicon.so,")
        qemu.start(7, 0, "cpsr,CSSELR", option, pass_fds=overrides.descriptors)
        assert overrides.table.loaded == 7
