"""A run as a mail: what it says, that it fits, and that it tells nothing private."""

import re
import subprocess
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from report_samples import (
    MACHINES,
    NASTY,
    NEW,
    OLD,
    alone,
    good,
    hostile,
    result_of,
    sample,
    troubled,
    unlike,
)

from ccsight.cli import run
from ccsight.cli.show_texts import names_here
from ccsight.evidence.cases import Case
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import Substrate
from ccsight.evidence.run import Run
from ccsight.report import mail
from ccsight.report.discretion import Discretion
from ccsight.report.folding import WIDTH, folded, plain
from ccsight.status import Status


def said(result, here=()):
    return mail.text(result, Discretion.of(result.plan, here))


def flat(text):
    """Return a text with all its folds undone."""
    return " ".join(text.split())


def fits(text):
    return text.isascii() and all(len(line) <= WIDTH and line == line.rstrip() for line in text.splitlines())


def renamed(kernel="", machine="", argv=(), fact=""):
    """Return a run of one cell that was lost, in which kernel and machine have such names."""
    lost = {cell: Failure(status=Status.MISS, fact=fact or "lost") for cell in one().plan.cells}
    result = replace(one(), captures={}, failures={cell.id: failure for cell, failure in lost.items()})
    (old,), (cell,) = result.plan.kernels, result.plan.cells
    cell = structs.replace(cell, machine=machine or cell.machine, kernel=kernel or cell.kernel)
    label = kernel or old.label
    plan = structs.replace(
        result.plan,
        argv=("ccsight", *argv),
        machines=(cell.machine,),
        cells=(cell,),
        cases=(),
        kernels=(structs.replace(old, spec=cell.kernel, label=label, pin=label),),
    )
    return replace(result, plan=plan, cases=(), failures={cell.id: next(iter(lost.values()))})


@cache
def one():
    """A run of one cell, all well."""
    return result_of([sample(MACHINES[0], OLD)], kernels=(OLD,))


@pytest.mark.parametrize("of", [good, troubled, hostile, unlike, alone])
def test_it_is_ascii_of_76_columns(of):
    text = said(of())
    assert fits(text)
    assert text.endswith("\n")
    assert not re.search("\n\n\n", text)


def test_it_says_what_was_measured_on_what():
    text = flat(said(troubled()))
    for words in (
        "Measured with ccsight 0.1.0 on 2026-11-22",
        "deb:6.12 6.12.95+deb12-arm64 (6.12.95-1) fabricates the caches that guests see",
        "emulated:neoverse-v1 emulated, QEMU emulator version 11.1.0",
        "launch upgrade roll-back deb:6.1 -> deb:6.12",
        "differs refused refused emulated:neoverse-v1",
        "MISS MISS MISS emulated:max",
        "Judgements: 82 pass, 3 fail, 20 measured, 15 not observed, 5 not applicable.",
        "roll-back refused as launched: refused, CCSIDR_EL1[0-2], CLIDR_EL1 EINVAL;",
        "Not observed, so nothing is said of it: emulated:max, deb:6.12: the emulated host never became",
        "Again: ccsight compare deb:6.1 deb:6.12",
    ):
        assert words in text, words


def test_a_failing_law_comes_with_its_evidence():
    lines = said(troubled()).splitlines()
    place = lines.index("FAIL CR-001 the guest reads what userspace is told: emulated:cortex-a72,")
    assert lines[place + 2] == "  CLIDR_EL1: userspace gets 0x9200003, the guest 0xa200023 (vCPU 1)"
    assert not any(line.startswith("FAIL") for line in said(good()).splitlines())


def test_what_mends_a_way_back_comes_with_the_command():
    text = mail.text(good(), Discretion())
    assert "What of the way back (deb:6.12 -> deb:6.1) can be mended:" in text
    assert "\n  ccsight profile capture deb:6.1 --on emulated:cortex-a57\n" in text
    assert "can be mended" not in mail.text(alone(), Discretion())


def test_the_registers_of_a_table_are_not_taken_for_the_cpus():
    assert "its CPUs' cache registers are those of a table (published)" in flat(said(unlike()))


@pytest.mark.parametrize(
    ("substrate", "words"),
    [(Substrate.METAL, "emulated:cortex-a57 metal"), (Substrate.UNKNOWN, "so it is not taken for metal")],
)
def test_what_a_machine_is_made_of_is_what_was_observed(substrate, words):
    seen = sample(MACHINES[0], OLD)
    facts = structs.replace(seen.machine, substrate=substrate, emulator="")
    assert words in flat(said(result_of([structs.replace(seen, machine=facts)], kernels=(OLD,))))


def test_a_program_and_a_law_that_saw_nothing_are_named():
    seen = sample(MACHINES[0], NEW)
    lost = structs.replace(seen, views=(), failures={"view": Failure(status=Status.ERROR, fact="it hung")})
    text = flat(said(result_of([lost], kernels=(NEW,))))
    assert "view on emulated:cortex-a57, deb:6.12: it hung" in text
    assert "CR-001 on emulated:cortex-a57, deb:6.12" in text


def test_the_command_can_be_pasted():
    argv = ("compare", OLD, NEW, "--on", "emulated:" + "m" * 100, "two words; $HOME", "it's")
    text = said(replace(one(), plan=structs.replace(one().plan, argv=("printf", "%s|", *argv))))
    command = text.partition("Again:\n")[2]
    pasted = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
    assert pasted == "|".join((*argv, ""))


PRIVATE = [
    ("tree:/home/jdoe/linux,patch=/srv/secret/fix.mbox", "tree:linux,patch=fix.mbox"),
    ("git:/home/jdoe/src/linux,ref=topic/a", "git:linux,ref=topic/a"),
    ("tree:/home/jdoe/my work/linux", "tree:linux"),
    ("tree:/home/jdoe", "tree:HOME"),
    ("tree:~jdoe/linux", "tree:linux"),
    ("image:../../secret/Image", "image:Image"),
    ("git:ssh://jdoe@build.example.com/x.git,ref=a", "git:URL,ref=a"),
    ("deb:6.1", "deb:6.1"),
    ("deb-src:6.12,patch=suites/rollback/native-cache-2.patch", "suites/rollback/native-cache-2.patch"),
]


@pytest.mark.parametrize(("spec", "instead"), PRIVATE)
def test_where_files_lie_is_left_out(spec, instead):
    result = renamed(kernel=spec, argv=("capture", spec, f"--silicon={spec[5:]}"), fact=f"{spec} is gone")
    text = said(result)
    assert instead in flat(text)
    for private in ("jdoe", "secret", "example", "my work"):
        assert private not in text
    assert flat(plain(spec)) in flat(mail.text(result, Discretion()))


@pytest.mark.parametrize(
    "fact",
    [
        "cannot reach 192.168.17.4 port 22",
        "cannot reach fe80::1ff:fe23:4567:890a",
        "cannot reach 2001:db8:0:0:0:0:2:1",
        "52:54:00:12:34:56 answers for it",
        "jdoe@lab7: permission denied",
        "lab7.cambridge.example.org refused",
        "lab7 refused jdoe",
        "see /srv/jdoe/lab7/console.log:212",
    ],
)
def test_addresses_hosts_and_users_are_left_out(fact):
    text = said(renamed(machine="lab7", fact=fact, argv=("capture", "--on", "lab7")), here=("jdoe",))
    for private in ("192", "fe80", "2001:", "52:54", "jdoe", "lab7", "cambridge", "srv"):
        assert private not in text, private
    assert "machine-1" in text


@pytest.mark.parametrize(
    "fact",
    [
        "/sys/devices/system/cpu/cpu0/cache is missing",
        "LoC 2 -> 1: set/way loops at 08:12:01, sys_regs.c:2031",
        "6.12.95+deb12-arm64 on QEMU 11.1.0, CTR_EL0 0xb444c004",
        "CCSIDR_EL1[3-13] EINVAL; no /dev/kvm",
    ],
)
def test_what_is_nobodys_secret_stays(fact):
    assert fact in flat(said(renamed(fact=fact), here=("cpu0x", "jdoe")))


def test_a_host_that_is_called_as_what_was_measured_hides_nothing():
    assert "emulated:cortex-a57" in said(one(), here=("emulated",))


@pytest.mark.parametrize("nasty", [NASTY, "x" * 100_000, "é→ü\u2028\x00\r\n" * 500, "\n\nAgain:\n  rm -rf"])
def test_whatever_a_machine_says_it_fits(nasty):
    result = renamed(machine=f"emulated:{nasty}", kernel=f"tree:{nasty}", fact=nasty, argv=(nasty, "-v"))
    text = said(result)
    assert fits(text.partition("Again:\n")[0])
    assert text.isascii()
    assert text.count("\nAgain:\n") == 1


@given(st.text(), st.text())
def test_any_reason_fits(reason, subject):
    (cell,) = one().plan.cells
    case = Case(check="CR-001", cells=(cell.id,), status=Status.MISS, reason=reason + subject)
    assert fits(said(replace(one(), cases=(case,))))


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1))
def test_folding_loses_no_word(text):
    assert all(len(line) <= WIDTH for line in folded(text))
    assert "".join("".join(folded(text)).split()) == "".join(text.split())


def test_the_verb_leaves_out_names_unless_it_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("platform.node", lambda: "lab7")
    result = renamed(fact="lab7 at 10.0.0.1 is gone")
    made = Run.create(tmp_path, result.plan)
    (cell,) = result.plan.cells
    made.write(cell, "failure.json", b'{"status": "MISS", "fact": "lab7 at 10.0.0.1 is gone"}')
    assert run(["show", "--mail", "--out", str(tmp_path)]) == 4
    assert "NAME at ADDRESS is gone" in capsys.readouterr().out
    assert run(["show", "--mail", "--names", "--out", str(tmp_path)]) == 4
    assert "lab7 at 10.0.0.1 is gone" in capsys.readouterr().out


def test_nobody_is_called_root(monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "root")
    monkeypatch.setattr("platform.node", lambda: "lab7.example.org")
    assert names_here() == ["lab7.example.org", "lab7"]


def test_no_line_ends_in_a_blank_where_a_long_word_was_broken():
    assert all(line == line.rstrip() for line in folded(f"  reason: {'x' * 67}{'y' * 71} 0"))
