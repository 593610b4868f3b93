"""The terminal pages, at the widths and in the places where they are read."""

import re

import msgspec
import pytest
from recorded import bent
from report_samples import MACHINES, NEW, OLD, good, hostile, result_of, sample, troubled, unlike

from ccsight.checks import COMPARISONS, LAWS
from ccsight.checks.verdict import comparisons
from ccsight.errors import UsageError
from ccsight.evidence.views import Vantage
from ccsight.report import console, decoded, terminal
from ccsight.report.blocks import Page
from ccsight.status import Status


@pytest.fixture
def shown(capsys, monkeypatch):
    """Return a function that prints a page as into a pipe of some width and returns the text."""

    def show(page: Page, width: int = 100) -> str:
        monkeypatch.setenv("COLUMNS", str(width))
        console.output().print(page)
        return capsys.readouterr().out

    return show


def squeeze(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def counted(result):
    """Return the line of counts that a page must end with."""
    laws = [case.status for case in result.cases if case.check in LAWS]
    skipped = laws.count(Status.SKIP)
    words = f"laws {laws.count(Status.PASS)} pass 0 fail 0 missing" + f" {skipped} skipped" * bool(skipped)
    return f"{words} comparisons {len(result.cases) - len(laws)} done"


def diffed(old, new):
    return terminal.render_diff(old, new, comparisons(old, new))


def test_values_of_every_machine_are_there(shown):
    text = squeeze(shown(terminal.render(good())))
    for row in (
        "CLIDR_EL1 0x0a200023 0x09200003",
        "CCSIDR_EL1[0] L1D 0x700fe01a 4×128×64 B 0x2 1×1×64 B",
        "CLIDR_EL1 0x82000023 0x02000021",
        "CTR_EL0 0x8444c004 0x9444c004 userspace 0x9444c004 0x9444c004 IDC 0 1",
        "CLIDR_EL1 0x82000023 0x01000004 Ctype1 separate I and D unified Ctype2 unified none LoC 2 1 ICB 2 0",
        "CCSIDR_EL1[2] L2 0x7ff0000003a 8×2048×64 B – not listed by CLIDR userspace 0x3a NumSets cut off 0x2",
        "ID_AA64MMFR2_EL1.CCIDX 1 0",
        "242 3 of them CCSIDR 259 14 of them CCSIDR",
        "shows guests the physical CPU's caches",
        "again: ccsight compare deb:6.1 deb:6.12",
        counted(good()),
        "report results/2026-11-22-081201-7f3a/report.html",
    ):
        assert row in text, row


def test_sentences_and_outcomes(shown):
    text = squeeze(shown(terminal.render(good())))
    assert "launch DIFFERS new guests find another cache topology: 3 caches become 1" in text
    assert "saved state GREW 17 registers added" in text
    assert "CCIDX CHANGES 1 → 0" in text
    assert "CCIDX SAME no difference" in text


@pytest.mark.parametrize("width", [80, 100, 120])
def test_tables_keep_their_rows_on_one_line(shown, width):
    text = shown(terminal.render(good()), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert all(line == line.rstrip() for line in text.splitlines())
    assert re.search(
        r"^  CCSIDR_EL1\[2\] L2 +0x7ff0000003a  8×2048×64 B  –  not listed by CLIDR$", text, re.M
    )


def test_a_pipe_gets_no_escape_sequences(shown):
    assert "\x1b" not in shown(terminal.render(troubled()))


def test_a_terminal_gets_colour_unless_no_color(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    console.output().print(terminal.render(good()))
    assert "\x1b[32m" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    console.output().print(terminal.render(good()))
    assert "\x1b[32m" not in capsys.readouterr().out


def test_a_failed_law_comes_first(shown):
    text = shown(terminal.render(troubled()))
    assert text.index("FAIL  CR-001") < text.index(MACHINES[0])
    assert "userspace gets 0x9200003, the guest 0xa200023" in text
    assert "captures/emulated_cortex-a72--deb_6.12/1/capture.json" in text
    assert f"3 fail  {len(LAWS) + len(COMPARISONS)} missing" in text


def test_the_vcpu_that_differs_has_a_row(shown):
    text = squeeze(shown(terminal.render(troubled())))
    assert "CLIDR_EL1 vCPU 1 0x0a200023 0x0a200023 userspace 0x0a200023 0x09200003" in text


def test_a_lost_cell_says_why_and_the_other_is_shown(shown):
    text = shown(terminal.render(troubled()))
    lost = text[text.index("emulated:max\n") :]
    assert "MISS  deb:6.12  the emulated host never became ready" in lost
    assert "evidence  last console line after 8 s" in lost
    assert "next      ccsight capture deb:6.12" in lost
    assert "L1I 64K  L1D 64K  L2 1M" in lost


def test_a_cell_that_never_ran_can_be_resumed(shown):
    result = result_of([sample(MACHINES[0], OLD)])
    text = shown(terminal.render(result))
    assert "it never ran: the run was interrupted" in text
    assert f"ccsight compare --resume {result.folder}" in text


def test_known_deviations_are_gathered(shown):
    text = squeeze(shown(terminal.render(good())))
    assert "CR-001 CCSIDR_EL1[3-13] of deb:6.1 on every machine" in text
    assert "CR-001 CTR_EL0 of deb:6.1 on emulated:neoverse-n1" in text


def test_known_field_failures_are_one_line(shown):
    text = squeeze(shown(terminal.render(unlike())))
    assert counted(unlike()) in text
    known = (
        "CR-003 CCSIDR_EL1[0-2] of deb:6.1 on every machine: each physical CPU shows its own, and takes no"
    )
    assert known in text
    assert "is refused: QEMU's 'failed to boot CPU1' (QEMU issue 1595)" in text


def test_groups_of_unlike_cpus_stand_side_by_side(shown):
    text = squeeze(shown(terminal.render(unlike()), 120))
    for row in (
        "CPU 0-1 little CPU 2-3 big old L1I 128K L1D 64K L2 4M L1I 192K L1D 128K L2 16M CCSIDR_EL1[0]",
        "CCSIDR_EL1[0] 0x700fe03a 8×128×64 B 0x701fe03a 8×256×64 B CCSIDR_EL1[1]",
        "carried there CCSIDR_EL1[0-2] EINVAL CCSIDR_EL1[0-2] EINVAL new L1I no size",
        "L1I no size L2 no size carried there takes all takes all",
        "CPUs old: guests see other caches on CPU 2-3 than on CPU 0-1; carrying a VM between them is refused",
        "(CCSIDR_EL1[0-2] EINVAL) new: the same on all launch DIFFERS",
        "CCSIDR_EL1[0] 0x70000002 1×1×64 B 0x70000002 1×1×64 B userspace 0x700fe01a 4×128×64 B 0x701fe01a",
    ):
        assert row in text, row
    assert "CPU 0-1" not in shown(terminal.render(good()))


def test_what_the_cpus_hold_is_told_apart_from_what_is_declared(shown):
    text, verbose = (
        squeeze(shown(terminal.render(unlike(), verbose=verbose), 120)) for verbose in (False, True)
    )
    for row in (
        "CCSIDR_EL1[2] L2 0x70ffe07b 16×2048×128 B 0x2 1×1×64 B declared, CPU 2-3 0x73ffe07b 16×8192×128 B",
        "CTR_EL0 0x84448004 0x84448004 hardware, CPU 2-3 0x9444c004 0x9444c004",
    ):
        assert row in text, row
    old_shows_it = "declared 0x81000023 0x81000023"
    assert old_shows_it not in text
    assert f"CLIDR_EL1 0x81000023 0x02000021 {old_shows_it}" in verbose
    assert (
        "CTR_EL0 0x84448004 0x84448004 hardware, CPU 0-1 0x84448004 0x84448004 hardware, CPU 2-3" in verbose
    )


def test_a_kernel_without_a_sweep_is_said_so(shown):
    captures = [
        msgspec.structs.replace(each, views=each.launch, writes=()) if each.kernel.spec == NEW else each
        for each in unlike().captures.values()
    ]
    result = result_of(captures)
    text = squeeze(shown(terminal.render(result)))
    missing = [case for case in result.cases if case.status is Status.MISS]
    assert "CR-003" in {case.check for case in missing}
    assert "new: nobody looked CPU by CPU" in text
    assert f"{len(missing)} missing" in text


def test_verbose_shows_unchanged_fields_and_unlisted_caches(shown):
    quiet, wordy = (shown(terminal.render(good(), verbose=verbose)) for verbose in (False, True))
    for word in ("LoUIS", "DminLine", "CCSIDR_EL1[13]", "IESB"):
        assert word not in quiet.replace("CCSIDR_EL1[13],", "")
        assert word in wordy


def test_what_a_machine_says_cannot_steer_the_terminal(shown):
    text = shown(terminal.render(hostile()))
    assert not set(text) & {"\x1b", "\u202e", "\x07"}
    assert "\\x1b[31m<script>alert(1)</script>[bold]\\u202e" in text


def test_diff_of_two_machines(shown):
    text = squeeze(shown(diffed(sample(MACHINES[1], OLD), sample(MACHINES[2], NEW))))
    assert "old deb:6.1 on emulated:neoverse-n1 6.1.0" in text
    assert "CTR_EL0 0x8444c004 0xb444c004" in text
    assert "DIFFERS" in text


def test_diff_of_the_same_says_so(shown):
    text = squeeze(shown(diffed(sample(MACHINES[2], NEW), sample(MACHINES[2], NEW))))
    assert "launch SAME a fresh guest sees the same" in text


def test_a_register_that_the_guest_could_not_read(shown):
    old = sample(MACHINES[0], OLD)
    new = bent(sample(MACHINES[0], NEW), Vantage.GUEST, 0, CCSIDR_EL1_0="UNDEF", CTR_EL0=None)
    text = squeeze(shown(diffed(old, new)))
    assert "CCSIDR_EL1[0] L1D 0x700fe01a 4×128×64 B UNDEF" in text
    assert "CTR_EL0 0x8444c004 – not read" in text


def test_one_is_not_several(shown):
    plan = good().plan
    text = squeeze(shown(terminal.render_plan(plan.cells[:1], plan.cases[:1])))
    assert re.search(r"would take [0-9]+ boots?, 1 judgement ", text)


def test_plan_and_announcement(shown, capsys):
    plan = good().plan
    text = squeeze(shown(terminal.render_plan(plan.cells, plan.cases)))
    assert f"would take 9 boots, {len(plan.cases)} judgements" in text
    assert "emulated:neoverse-v1 deb:6.12" in text
    terminal.announce(plan)
    said = capsys.readouterr()
    assert said.out == ""
    assert plan.id in said.err
    assert "again: ccsight compare" in said.err


def test_decode_clidr(shown):
    text = squeeze(shown(decoded.render("CLIDR_EL1", 0x82000023)))
    assert "26:24 LoC 2" in text
    assert "2:0 Ctype1 3 separate I and D" in text
    assert "caches: L1I (CSSELR_EL1 0x1), L1D (CSSELR_EL1 0x0), L2 (CSSELR_EL1 0x2)" in text


def test_decode_ccsidr_in_both_layouts(shown):
    text = squeeze(shown(decoded.render("CCSIDR_EL1[2]", 0x7FF0000003A)))
    assert "8 ways × 2048 sets × 64 B a line = 1M" in text
    assert "8 ways × 1 set × 64 B a line = 512 B" in text
    assert "RES0 0x7ff00000000" in text


def test_decode_ctr_speaks_bytes(shown):
    text = squeeze(shown(decoded.render("CTR_EL0", 0x8444C004)))
    assert "19:16 DminLine 4 64 B" in text
    assert "15:14 L1Ip 3 PIPT" in text
    assert "RES0" not in text  # bit 31 is RES1


def test_decode_as_json():
    content = decoded.document("CLIDR_EL1", 0x82000023).decode()
    assert '"value": "0x82000023"' in content
    assert '"name": "LoUU"' in content


@pytest.mark.parametrize(
    ("name", "value", "said"), [("CLIDR", 1, "did you mean"), ("CLIDR_EL1", 1 << 64, "64-bit")]
)
def test_decode_refuses(name, value, said):
    with pytest.raises(UsageError) as caught:
        decoded.decode(name, value)
    assert said in str(caught.value)
