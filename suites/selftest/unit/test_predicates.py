"""Predicates: what the language says and refuses, what captures answer, and the logic of what nobody saw."""

import json
import re
from functools import cache

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import MODELS, SERIES, bent, without
from recorded import capture as parsed

from ccsight.campaign.programs import PROGRAMS
from ccsight.checks import COMPARISONS, CROSSINGS, LAWS, LAWS_ON_REQUEST, RULES
from ccsight.checks.answers import Answer, Subject, ask
from ccsight.checks.language import LANGUAGE
from ccsight.checks.migration import STRATEGIES
from ccsight.checks.places import ON_REQUEST, SOURCES, Place, closed
from ccsight.checks.predicates import Predicate, parse
from ccsight.checks.questions import (
    THIS,
    Alike,
    Both,
    Either,
    Moves,
    Not,
    Passes,
    Prints,
    Reads,
    Same,
    fields,
)
from ccsight.errors import UsageError
from ccsight.evidence.failure import Failure
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Reading, Vantage, View
from ccsight.kvm.vmms import VMMS, Outcome
from ccsight.status import Status

#: Nobody changes one, and there are many questions.
capture = cache(parsed)


def subject(model="neoverse-v1", series="6.12", **more):
    seen = capture(model, series)
    return Subject(seen, sources={f"deb:{other}": capture(model, other) for other in SERIES}, **more)


def truth(text, asked):
    return ask(parse(text), asked).truth


def seen(text, asked):
    return ask(parse(text), asked).seen


def hardware(like, cpu=0):
    """Return what a CPU says of itself: what a VM that was pinned there was shown."""
    guest = next(v for v in like.views if (v.vantage, v.phase, v.cpu) == (Vantage.GUEST, "pinned", cpu))
    return View(
        vantage=Vantage.HARDWARE,
        vcpu=None,
        program="hardware",
        phase="host",
        cpu=cpu,
        readings=guest.readings,
    )


# --- the language


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("guest.CLIDR_EL1.LoC==2", "guest.CLIDR_EL1.LoC == 2"),
        ("CLIDR_EL1 == 2181038115", "CLIDR_EL1 == 0x82000023"),
        ("guest.CLIDR_EL1.LoC == 0x2", "guest.CLIDR_EL1.LoC == 2"),
        (
            "guest( cpu=0, vcpu=1,program=life,phase=cpu-on ).CCSIDR_EL1[2].NumSets >= 1024",
            "guest(vcpu=1,phase=cpu-on,program=life,cpu=0).CCSIDR_EL1[2].NumSets >= 1024",
        ),
        ("guest.CLIDR_EL1.Ctype1 == 'separate I and D'", 'guest.CLIDR_EL1.Ctype1 == "separate I and D"'),
        ("migrate(deb:6.1→this) is at worst visible", "migrate(deb:6.1 -> this) at worst visible"),
        (
            "migrate(this -> deb:6.1,flavour=cloud, vmm=QEMU 11.1 ,strategy=profiled) is lossy",
            "migrate(this -> deb:6.1,flavour=cloud,strategy=profiled,vmm=QEMU 11.1) is lossy",
        ),
        ("migrate('image:a(1),name=x' -> this) is lossy", 'migrate("image:a(1),name=x" -> this) is lossy'),
        ("same as 'my run/capture.json'", 'same as "my run/capture.json"'),
        ("console has 'UBSAN: shift'", 'console has "UBSAN: shift"'),
        ("(((check CR-004)))", "check CR-004"),
        (
            "not (check CR-004 or check CR-005) and guest == userspace",
            "not (check CR-004 or check CR-005) and guest == userspace",
        ),
        ("guest.'MSR CLIDR_EL1' == UNDEF", 'guest."MSR CLIDR_EL1" == UNDEF'),
        ("check CR-004\n  and check CR-005", "check CR-004 and check CR-005"),
    ],
)
def test_a_predicate_says_itself_again(text, canonical):
    predicate = parse(text)
    assert str(predicate) == canonical
    assert predicate.text == text
    assert parse(canonical).tree == predicate.tree


@pytest.mark.parametrize(
    ("text", "column", "fact", "next_step"),
    [
        ("guest.CLIDR_EL1.loc == 2", 16, "CLIDR_EL1 has no field 'loc'", "did you mean 'LoC'?"),
        ("guest.CLIDR_EL1.LoC == 8", 23, "CLIDR_EL1.LoC is never 8", "at most 0x7"),
        ("guest.CLIDR.LoC == 2", 6, "no register 'CLIDR'", "did you mean 'CLIDR_EL1'?"),
        ("CLIDR.LoC == 2", 0, "no register or vantage 'CLIDR'", "did you mean 'CLIDR_EL1'?"),
        ("gest.CLIDR_EL1.LoC == 2", 0, "no vantage 'gest'", "did you mean 'guest'?"),
        ("gest(vcpu=1) == userspace", 0, "no vantage 'gest'", "did you mean 'guest'?"),
        (
            "guest_el0.ID_AA64MMFR2_EL1 == 0",
            10,
            "nobody reads ID_AA64MMFR2_EL1 from guest_el0",
            "hardware.ID",
        ),
        ("MIDR_EL1 == 0", 0, "nobody reads MIDR_EL1 of a VM", "hardware.MIDR_EL1"),
        ("guest.CCSIDR_EL1.NumSets == 1", 6, "without saying of which cache", "CCSIDR_EL1[0]"),
        ("CCSIDR_EL1 == 2", 0, "without saying of which cache", "CCSIDR_EL1[0]"),
        ("guest(phase=lunch) == userspace", 12, "no phase 'lunch'", "did you mean 'launch'?"),
        ("guest(program=lift) == userspace", 14, "no program 'lift'", "did you mean 'life'?"),
        ("guest(fase=launch) == userspace", 6, "'fase'", "did you mean 'phase'?"),
        ("guest(vcpu=one) == userspace", 11, "'one' is no number of a CPU", "from 0"),
        ("guest(vcpu=1,vcpu=2) == userspace", 13, "said twice", "once"),
        ("guest(cpu=0,phase=launch) == userspace", 10, "nobody looks from", "view (launch; on no CPU)"),
        ("guest.CLIDR_EL1.Ctype1 == unifed", 26, "no reading says 'unifed'", "did you mean 'unified'?"),
        ("guest.CLIDR_EL1.Ctype1 > unified", 23, "words have no order", "== or !="),
        ("guest.CLIDR_EL1 == ENOENTS", 19, "no reading says 'ENOENTS'", "did you mean 'ENOENT'?"),
        ("guest.DCZID_EL0.BS == 4", 16, "has no fields here", "DCZID_EL0 == 0x0"),
        ("guest.CLIDR_EL1.LoC.x == 4", 20, "a field has no parts", "is the most"),
        ("guest == gest", 9, "'gest' is no vantage", "did you mean 'guest'?"),
        ("guest < userspace", 6, "no order", "== or !="),
        ("guest == guest", 9, "never read in one place", "one by one"),
        ("guest_aarch32 == guest", 17, "never read in one place", "one by one"),
        ("check CR-09", 6, "no law 'CR-09'", "did you mean 'CR-0"),
        ("check CR-009", 6, "CR-009 is a comparison", "same as FILE"),
        ("check CR-008", 6, "CR-008 is a comparison", "migrate(this -> SPEC)"),
        ("check CR-013", 6, "not judged of one capture", "laws: CR-001"),
        ("migrate(deb:6.1 -> deb:6.12) is lossy", 8, "to this one", "migrate(deb:6.1 -> this)"),
        ("migrate(this -> this) is lossy", 8, "to this one", "check CR-006"),
        ("migrate(deb:6.1 -> this) is transparant", 28, "no outcome", "did you mean 'transparent'?"),
        ("migrate(a -> this,strategy=launched) is lossy", 27, "no strategy 'launched'", "'as-launched'?"),
        ("migrate(a -> this,vmm=Firecraker) is lossy", 22, "no vmm 'Firecraker'", "'Firecracker'?"),
        ("guest.CLIDR_EL1.LoC = 2", 20, "'=' does not fit", "== != < <= > >="),
        ("guest.CLIDR_EL1.LoC", 19, "the predicate ends too early", "== != < <= > >="),
        ("guest == userspace)", 18, "')' does not fit", "expected: the end"),
        ("check CR-004 xor check CR-005", 13, "'xor' does not fit", "and"),
        ("not " * 60 + "check CR-004", 0, "nested deeper", "fewer parentheses"),
    ],
)
def test_what_cannot_be_asked_is_pointed_at(text, column, fact, next_step):
    with pytest.raises(UsageError) as refused:
        parse(text)
    assert fact in refused.value.fact
    assert refused.value.evidence == f"{text}\n{' ' * column}^"
    assert next_step in refused.value.next_step


def test_an_empty_predicate_has_nothing_to_point_at():
    with pytest.raises(UsageError, match="the predicate is empty") as refused:
        parse(" ")
    assert (refused.value.evidence, refused.value.next_step) == ("", "ccsight explain predicate")


def test_a_name_that_nobody_reads_tells_the_vantages_first():
    with pytest.raises(UsageError, match="no register or vantage 'nope'") as refused:
        parse("nope == 2")
    told = refused.value.next_step
    assert told.startswith("known: hardware, userspace, guest, ")
    assert re.search(r"CTR_EL0, CLIDR_EL1, .* and [0-9]+ more$", told)


def test_no_text_is_too_long_to_be_refused():
    with pytest.raises(UsageError, match="at most 4000 characters"):
        parse("(" * 5000)
    assert parse("(" * 1900 + "check CR-004" + ")" * 1900).tree == Passes("CR-004")


@pytest.mark.parametrize("check", [*COMPARISONS, *CROSSINGS, *RULES, "CR-019"])
def test_only_laws_are_checked(check):
    with pytest.raises(UsageError, match=f"{check} is .*check takes a law"):
        parse(f"check {check}")


@pytest.mark.parametrize(
    ("text", "programs", "requests"),
    [
        ("guest.CLIDR_EL1.LoC == 2", {"view", "sweep", "life", "guests"}, set()),
        ("guest(phase=launch).CLIDR_EL1.LoC == 2", {"view"}, set()),
        ("guest(phase=cpu-on).CLIDR_EL1.LoC == 2", {"sweep", "life"}, set()),
        ("guest(phase=given-mte).CLIDR_EL1.Ttype1 == 2", {"sweep", "features"}, set()),
        ("guest_el2.CLIDR_EL1 == 1", {"sweep", "features"}, set()),
        ('"CSSELR_EL1<=3" == 3', {"guests"}, set()),
        ("hardware.MIDR_EL1 == 1", {"hardware"}, set()),
        ("guest(program=sweep) == hardware", {"sweep", "hardware"}, set()),
        ("guest == userspace", {"view", "sweep", "life"}, set()),
        ("same as x", {"view"}, set()),
        ("same as x and check CR-005", set(), set()),
        ("check CR-016", {"view", "linux"}, {"linux"}),
        ("check CR-006 and check CR-004", set(), {"save", "restore"}),
        ("migrate(deb:6.1 -> this) is lossy", {"view", "save", "restore"}, {"save", "restore"}),
        ("console has UBSAN", set(), set()),
    ],
)
def test_a_cell_need_not_run_what_is_not_asked_for(text, programs, requests):
    predicate = parse(text)
    assert (predicate.programs, predicate.requests) == (programs, requests)


def test_other_kernels_and_files_are_named_once():
    text = "migrate(deb:6.1 -> this) is lossy or same as a and same as b or migrate(this -> deb:6.1) is lossy"
    assert (parse(text).sources, parse(text).files) == (("deb:6.1",), ("a", "b"))


def test_the_places_are_those_of_the_programs():
    programs = {program.name: program for program in PROGRAMS}
    assert {source.program for source in SOURCES} <= programs.keys() > ON_REQUEST
    for name, program in programs.items():
        assert closed(program.needs) <= closed([name])


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("model", MODELS)
def test_every_reading_of_a_capture_can_be_asked_for(model, series):
    for view in capture(model, series).views:
        place = Place(view.vantage, view.vcpu, view.phase, view.program, view.cpu)
        for name in view.readings:
            assert view in place.views([view], name)


# --- answers


def test_a_field_must_be_so_in_every_view():
    asked = subject("neoverse-v1", "6.1")
    answer = ask(parse("guest.CLIDR_EL1.LoC == 2"), asked)
    assert answer == Answer(True, ("guest.CLIDR_EL1.LoC is 2 (vCPU 0, phase launch, and in 80 more)",))
    one = Subject(bent(asked.capture, Vantage.GUEST, 1, CLIDR_EL1=0x81000023))
    assert seen("guest.CLIDR_EL1.LoC == 2", one) == ("guest.CLIDR_EL1.LoC is 1 (vCPU 1, phase launch)",)
    assert truth("guest.CLIDR_EL1.LoC == 2", one) is False
    assert truth("not guest.CLIDR_EL1.LoC == 2", one) is True
    assert truth("guest.CLIDR_EL1.LoC != 2", one) is False  # it is 2 in all other views
    assert truth("guest(vcpu=0).CLIDR_EL1.LoC == 2", one) is True
    assert truth("guest(phase=cpu-on).CLIDR_EL1.LoC == 2", one) is True


def test_what_a_vmm_wrote_is_meant_only_where_it_is_named():
    asked = subject("neoverse-n1", "6.12")
    assert truth("CLIDR_EL1 == 0x02000021", asked) is True
    assert truth("guest(program=life-overridden).CLIDR_EL1.LoC == 4", asked) is True
    assert truth("guest(program=life-8-overridden,phase=cpu-on).CLIDR_EL1.LoC == 4", asked) is True
    assert truth("guest(program=life-8,phase=cpu-on).CLIDR_EL1.LoC == 4", asked) is False


@pytest.mark.parametrize(
    ("operator", "number", "expected"),
    [("==", 2, True), ("!=", 2, False), ("<", 3, True), ("<=", 1, False), (">", 1, True), (">=", 3, False)],
)
def test_numbers_are_compared(operator, number, expected):
    asked = subject("neoverse-n1", "6.1")
    assert truth(f"guest.CLIDR_EL1.LoC {operator} {number}", asked) is expected
    assert truth(f"hardware.CLIDR_EL1.LoC {operator} {number}", asked) is None


def test_the_layout_in_effect_has_the_fields():
    wide = subject("neoverse-v1", "6.1")
    assert truth("guest.CCSIDR_EL1[2].NumSets == 2047", wide) is True
    assert truth("CCSIDR_EL1[2].NumSets == 2047", wide) is True  # userspace cannot read it
    assert truth("userspace.CCSIDR_EL1[2].NumSets == 0", wide) is None
    assert "above the 32 bits" in seen("userspace.CCSIDR_EL1[2].NumSets == 0", wide)[0]
    assert truth("guest.CCSIDR_EL1[2].UNKNOWN == 0", wide) is None
    assert truth("userspace.CCSIDR_EL1[2].NumSets == 2047", subject("neoverse-n1", "6.1")) is True
    blind = bent(wide.capture, Vantage.GUEST, 0, ID_AA64MMFR2_EL1=None)
    blind = bent(blind, Vantage.GUEST, 1, ID_AA64MMFR2_EL1=None)
    said = ask(parse("guest(phase=launch).CCSIDR_EL1[2].NumSets == 2047"), Subject(blind))
    assert said.truth is None
    assert "unknown layout" in said.seen[0]


def test_words_of_fields_are_compared():
    asked = subject("neoverse-n1", "6.1")
    assert truth("guest.CLIDR_EL1.Ctype2 == unified", asked) is True
    assert truth("guest.CLIDR_EL1.Ctype1 != 'separate I and D'", asked) is False
    assert seen("guest.CLIDR_EL1.Ctype2 == none", asked)[0].startswith(
        "guest.CLIDR_EL1.Ctype2 is 4 (unified)"
    )


def test_a_problem_was_not_observed_unless_it_is_asked_for():
    asked = subject("neoverse-n1", "6.1")
    assert truth("userspace.CCSIDR_EL1[3] == 0", asked) is None
    assert truth("userspace.CCSIDR_EL1[3] == ENOENT", asked) is True
    assert truth("userspace.CCSIDR_EL1[3] != ENOENT", asked) is False
    assert truth("guest.CCSIDR_EL1[3] == UNDEF", asked) is False
    assert truth("guest.CCSIDR_EL1[3] != UNDEF", asked) is True
    assert truth("guest_el0.CLIDR_EL1 == UNDEF", asked) is True
    assert truth("CCSIDR_EL1[3] == 0", asked) is True  # userspace never read it
    half = Subject(bent(asked.capture, Vantage.GUEST, 1, CLIDR_EL1="UNDEF"))
    assert truth("guest.CLIDR_EL1.LoC == 2", half) is None
    assert truth("guest.CLIDR_EL1.LoC == 1", half) is False


def test_what_nobody_read_is_not_observed_and_says_why():
    failure = Failure(status=Status.ERROR, fact="the guest did not say what it says")
    asked = Subject(
        msgspec.structs.replace(
            without(capture("neoverse-n1", "6.1"), Vantage.GUEST), failures={"life": failure}
        )
    )
    answer = ask(parse("guest.CLIDR_EL1.LoC == 2"), asked)
    assert answer == Answer(
        None, ("nobody read guest.CLIDR_EL1.LoC", "life: the guest did not say what it says")
    )
    assert len(seen("guest(phase=launch).CLIDR_EL1.LoC == 2", asked)) == 1


def test_a_program_that_failed_might_have_seen_otherwise():
    failure = Failure(status=Status.MISS, fact="the machine was lost")
    half = Subject(msgspec.structs.replace(capture("cortex-a57", "6.1"), failures={"life": failure}))
    answer = ask(parse("guest.CLIDR_EL1.LoC == 2"), half)
    assert (answer.truth, answer.seen[-1]) == (None, "life: the machine was lost")
    assert truth("guest.CLIDR_EL1.LoC == 1", half) is False
    assert truth("guest(phase=launch).CLIDR_EL1.LoC == 2", half) is True
    assert truth("guest == userspace", half) is None
    assert truth("guest(program=sweep) == userspace", half) is True
    unlike = Subject(msgspec.structs.replace(capture("neoverse-n1", "6.1"), failures={"life": failure}))
    assert truth("guest != userspace", unlike) is True


def test_vantages_are_compared_where_both_have_read():
    assert truth("guest == userspace", subject("cortex-a57", "6.1")) is True
    assert truth("guest != userspace", subject("cortex-a57", "6.1")) is False
    unlike = subject("neoverse-n1", "6.1")
    answer = ask(parse("guest == userspace"), unlike)
    assert answer == Answer(
        False,
        ("guest.CTR_EL0 is 0x8444c004, userspace.CTR_EL0 0x9444c004 (vCPU 0, phase launch, and in 78 more)",),
    )
    assert truth("guest != userspace", unlike) is True
    assert (
        truth("guest(phase=launch) == userspace", Subject(without(unlike.capture, Vantage.USERSPACE))) is None
    )


def test_a_vm_is_compared_with_the_cpu_to_which_it_was_pinned():
    like = capture("neoverse-n1", "6.1")
    asked = Subject(msgspec.structs.replace(like, views=(*like.views, hardware(like))))
    assert truth("guest == hardware", asked) is True
    assert truth("hardware == guest", asked) is True
    assert truth("guest(program=sweep,cpu=1) == hardware", asked) is None  # nobody asked that CPU
    assert truth("userspace == hardware", asked) is False  # userspace is told another CTR_EL0
    assert "(vCPU 0, phase pinned, program sweep, CPU 0" in seen("hardware == userspace", asked)[0]
    new = capture("neoverse-n1", "6.12")
    assert truth(
        "guest != hardware", Subject(msgspec.structs.replace(new, views=(*new.views, hardware(like))))
    )


def test_laws_are_asked():
    asked = subject()
    assert ask(parse("check CR-004"), asked) == Answer(True, ("CR-004 PASS",))
    assert truth("check CR-006", asked) is True
    wrong = Subject(bent(asked.capture, Vantage.GUEST, 1, CLIDR_EL1=0x0A200023))
    answer = ask(parse("check CR-001"), wrong)
    assert answer.truth is False
    assert answer.seen[0].startswith("CR-001 FAIL: CLIDR_EL1 (vCPU 1): userspace gets ")
    blind = ask(parse("check CR-001"), Subject(without(asked.capture, Vantage.GUEST)))
    assert blind.truth is None
    assert blind.seen[0].startswith("CR-001 MISS: ")
    assert truth("check CR-011", asked) is None  # SKIP: there is no AArch32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("migrate(deb:6.1 -> this) is transparent", False),
        ("migrate(deb:6.1 -> this) is visible", True),
        ("migrate(deb:6.1 -> this) at worst visible", True),
        ("migrate(deb:6.1 -> this) at worst transparent", False),
        ("migrate(this -> deb:6.1) is refused", True),
        ("migrate(this -> deb:6.1) at worst lossy", False),
        ("migrate(this -> deb:6.1,vmm=a VMM that ignores errors) is lossy", True),
        ("migrate(this -> deb:6.1,strategy=as-launched,vmm=Firecracker) is refused", True),
        ("migrate(this -> deb:6.1,strategy=native-cap) is refused", None),  # no VM was launched so
        ("migrate(deb:6.6 -> this) is transparent", None),
        ("migrate(deb:6.12 -> this) is transparent", None),  # itself
    ],
)
def test_the_worst_that_becomes_of_vms_is_asked(text, expected):
    assert truth(text, subject("cortex-a57", "6.12")) is expected


def test_moves_say_what_decides():
    said = seen("migrate(this -> deb:6.1,vmm=Firecracker) at worst visible", subject("cortex-a57", "6.12"))
    assert said[0] == "refused, as launched, with Firecracker: CNTP_CTL_EL0 ENOENT"
    said = seen("migrate(deb:6.1 -> this) is visible", subject("cortex-a57", "6.12"))
    assert len(said) == 2
    assert said[0].startswith("visible, as launched, with QEMU up to 10, QEMU 11.1, Firecracker, ")
    assert "itself" in seen("migrate(deb:6.12 -> this) is lossy", subject("cortex-a57", "6.12"))[0]
    unmoved = Subject(
        msgspec.structs.replace(capture("cortex-a57", "6.12"), restored=()),
        sources=subject("cortex-a57").sources,
    )
    assert "was not restored" in seen("migrate(deb:6.1 -> this) is lossy", unmoved)[0]


def test_a_capture_is_the_same_as_another():
    old, new = capture("cortex-a57", "6.1"), capture("cortex-a57", "6.12")
    assert truth("same as x", Subject(old, files={"x": old})) is True
    answer = ask(parse("same as x"), Subject(new, files={"x": old}))
    assert answer.truth is False
    assert "userspace.CLIDR_EL1.LoC 2 → 1 (vCPU 0; x has the first)" in answer.seen
    assert truth("same as x", Subject(old)) is None
    assert truth("same as x", Subject(old, files={"x": without(old, Vantage.GUEST)})) is None
    assert truth("same as x", Subject(new, files={"x": without(old, Vantage.GUEST)})) is False
    nothing = msgspec.structs.replace(old, views=())
    assert truth("same as x", Subject(nothing, files={"x": nothing})) is None


def test_the_console_is_read():
    old = capture("cortex-a57", "6.1")
    asked = Subject(old, "[ 0.0] Booting\n[ 0.1] UBSAN: shift-out-of-bounds in sys_regs.c\n")
    assert ask(parse("console has UBSAN"), asked) == Answer(
        True, ("console line 2: [ 0.1] UBSAN: shift-out-of-bounds in sys_regs.c",)
    )
    assert truth("console has ubsan", asked) is False
    assert truth("console has 'Oops: 0'", asked) is False
    assert truth("console has UBSAN", Subject(old)) is None
    machine = msgspec.structs.replace(old.machine, command_line="console=ttyAMA0 quiet")
    hushed = Subject(msgspec.structs.replace(old, machine=machine), asked.console)
    assert truth("console has UBSAN", hushed) is True
    assert truth("console has Oops", hushed) is None


# --- logic

SAYS = {
    True: "guest.CLIDR_EL1.LoC == 1",
    False: "guest.CLIDR_EL1.LoC == 2",
    None: "hardware.CLIDR_EL1.LoC == 1",
}
THREE = st.sampled_from([True, False, None])


def of(left, word, right):
    return truth(f"({SAYS[left]}) {word} ({SAYS[right]})", subject())


@pytest.mark.parametrize("left", SAYS)
@pytest.mark.parametrize("right", SAYS)
def test_logic_is_kleenes(left, right):
    both = False if False in (left, right) else None if None in (left, right) else True
    either = True if True in (left, right) else None if None in (left, right) else False
    assert of(left, "and", right) is both
    assert of(left, "or", right) is either
    assert truth(f"not {SAYS[left]}", subject()) is (None if left is None else not left)


@given(st.lists(THREE, min_size=1, max_size=4), st.booleans())
def test_de_morgan_holds(truths, conjunction):
    parts = tuple(parse(SAYS[each]).tree for each in truths)
    one, other = (Both, Either) if conjunction else (Either, Both)
    left = ask(Predicate("", Not(one(parts))), subject())
    right = ask(Predicate("", other(tuple(map(Not, parts)))), subject())
    assert left == right


def test_what_users_are_told_is_what_is_understood():
    forms = [form for form, _ in LANGUAGE if re.search(r"[.=]| as | has | is |check", form)]
    assert len(forms) > 10
    for form in forms:
        for part in form.split(", and "):
            assert str(parse(part)) == part


# --- any text, any tree

PLACES = [
    Place(vantage, vcpu, phase, source.title, cpu)
    for source in SOURCES
    for vantage in [*source.reads, None]
    for phase in ("", source.phases[0])
    for vcpu in (None, 0)
    for cpu in (None, 1)
    if (cpu is None or source.pinned)
    and (vcpu is None or source.program != "hardware")
    and (vantage or (vcpu, phase, cpu) == (None, "", None))
]


@st.composite
def readings(draw):
    place = draw(st.sampled_from(PLACES))
    if place.vantage is None:
        place = Place()
    names = [
        name
        for s in place.sources()
        for v in place.vantages(s)
        for name in s.reads[v]
        if name != "CCSIDR_EL1"
    ]
    register = draw(st.sampled_from(sorted(set(names))))
    known = [each.name for each in fields(register)]
    field = draw(st.sampled_from(["", *known]))
    words = [word for each in fields(register, field) for word in each.words] if field else []
    widest = max((each.mask >> each.lo for each in fields(register, field)), default=1) if field else 1 << 63
    number = st.integers(0, widest)
    value = draw(st.one_of(number, st.sampled_from(["UNDEF", "ENOENT", "TOO-LONG", "ESR 0x1f", *words])))
    operators = ("==", "!=", "<", "<=", ">", ">=") if isinstance(value, int) else ("==", "!=")
    return Reads(place, register, field, draw(st.sampled_from(operators)), value)


TEXTS = st.text(st.characters(categories=["L", "N", "P", "S", "Z"]), min_size=1, max_size=30)
SPECS = TEXTS.filter(lambda text: text.strip() != THIS)
MOVES = st.builds(
    lambda spec, back, **more: Moves(THIS if back else spec, spec if back else THIS, **more),
    SPECS,
    st.booleans(),
    outcome=st.sampled_from(Outcome),
    at_worst=st.booleans(),
    strategy=st.sampled_from(["", *STRATEGIES]),
    vmm=st.sampled_from(["", *(vmm.name for vmm in VMMS)]),
)
LEAVES = st.one_of(
    readings(),
    MOVES,
    st.builds(Passes, st.sampled_from([*LAWS, *LAWS_ON_REQUEST])),
    st.builds(Same, TEXTS),
    st.builds(Prints, TEXTS),
    st.builds(
        Alike,
        st.just(Place(Vantage.GUEST)),
        st.sampled_from([Vantage.USERSPACE, Vantage.HARDWARE]),
        st.booleans(),
    ),
)
TREES = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.builds(Not, parts),
        st.builds(lambda of: Both(tuple(of)), st.lists(parts, min_size=2, max_size=3)),
        st.builds(lambda of: Either(tuple(of)), st.lists(parts, min_size=2, max_size=3)),
    ),
    max_leaves=8,
)


@given(TREES)
def test_any_tree_is_read_as_it_is_written(tree):
    again = parse(str(Predicate("", tree)))
    assert again.tree == tree
    assert str(parse(str(again))) == str(again)


@given(TREES)
def test_any_tree_is_answered(tree):
    answer = ask(Predicate("", tree), subject())
    assert answer.seen
    json.dumps([answer.truth, *answer.seen])


WORDS = (
    "guest CLIDR_EL1 LoC . == ( ) and or not check CR-004 migrate -> this is at worst same as 0x2 ' \" [2] ,"
)
NOISE = st.one_of(
    st.text(max_size=40),
    st.lists(st.sampled_from([*WORDS.split(), " "]), max_size=15).map(" ".join),
    st.lists(st.sampled_from([*WORDS.split(), " "]), max_size=15).map("".join),
)


def refusal(text):
    try:
        assert parse(text).text == text
    except UsageError as error:
        return error
    return None


@given(NOISE)
def test_any_text_is_a_predicate_or_is_refused_with_a_caret(text):
    refused = refusal(text)
    if not refused:
        return
    assert refused.fact
    assert refused.next_step
    if not text.strip():
        assert refused.evidence == ""
    else:
        shown, caret = refused.evidence.split("\n")
        assert len(shown) == len(text)
        assert caret.strip() == "^"
        assert len(caret) <= len(text) + 1


def test_readings_that_are_odd_are_answered():
    odd = Reading(problem="ESR 0x96000004")
    view = View(vantage=Vantage.GUEST, vcpu=0, program="view", phase="launch", readings={"CLIDR_EL1": odd})
    like = capture("neoverse-n1", "6.1")
    asked = Subject(msgspec.structs.replace(like, views=(view,)))
    assert truth("guest.CLIDR_EL1 == 'ESR 0x96000004'", asked) is True
    assert truth("guest.CLIDR_EL1.LoC == 2", asked) is None
    wide = msgspec.structs.replace(view, readings={"CLIDR_EL1": Reading(value=Hex(1 << 63))})
    assert (
        truth("CLIDR_EL1 >= 0x8000000000000000", Subject(msgspec.structs.replace(like, views=(wide,))))
        is True
    )
