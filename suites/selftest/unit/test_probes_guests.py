"""The C side: it compiles, reproducibly; and its parts that need no arm64 hold under the sanitizers."""

import shutil
import struct
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from served import served

from ccsight.deadline import Deadline
from ccsight.errors import ToolMissing
from ccsight.evidence.migrations import Way
from ccsight.evidence.record import Hex
from ccsight.evidence.views import PINNED, Reading, Vantage, View
from ccsight.kvm import pairs
from ccsight.paths import data_dir
from ccsight.probes import build
from ccsight.probes.script import Script
from ccsight.probes.stream import LINE_MAX, LINES_MAX, parse

#: Gives bytes to the part of the probe that a word names.
HARNESS = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include "script.h"
#include "served.h"

static void put(const char *line, unsigned int length)
{
    fwrite(line, 1, length, answer);
}

static void send_cpu_list(struct wire *wire, char *list, size_t count)
{
    struct cpus cpus;

    list[count] = '\0';
    if (!parse_cpus(&cpus, list)) {
        send_errno(wire, "cpus-online", EBADMSG);
        return;
    }
    for (unsigned int i = 0; i < cpus.count; i++) {
        wire_line(wire, "cpu");
        wire_dec(wire, "index", cpus.index[i]);
        wire_send(wire);
    }
}

/* A byte for each CPU: what userspace reads there, or (from 200) the errno that comes instead. */
static void send_pairs(struct wire *wire, const unsigned char *kinds, size_t cpus)
{
    static struct reading read[256][REGISTERS];
    struct pair pairs[PAIRS_MAX];
    unsigned int count;

    for (size_t i = 0; i < cpus; i++) {
        read[i][REGISTERS - 1].value = kinds[i] < 200 ? kinds[i] : 0;
        read[i][REGISTERS - 1].problem = kinds[i] < 200 ? 0 : kinds[i] - 199;
    }
    count = choose_pairs(read, (unsigned int)cpus, pairs);
    for (unsigned int i = 0; i < count; i++) {
        wire_line(wire, "pair");
        wire_dec(wire, "origin", pairs[i].origin);
        wire_dec(wire, "target", pairs[i].target);
        wire_send(wire);
    }
}

/* A line of a script: cut into pieces, or refused. */
static void send_step(struct wire *wire, char *line, size_t count)
{
    struct step step;

    line[count] = '\0';
    if (!parse_step(line, &step)) {
        wire_error(wire, "malformed-step");
        wire_send(wire);
        return;
    }
    wire_line(wire, "step");
    wire_str(wire, "what", step_name(step.what));
    wire_dec(wire, "slot", step.slot);
    wire_dec(wire, "vcpu", step.vcpu);
    wire_dec(wire, "amount", step.amount);
    for (unsigned int i = 0; i < step.count; i++)
        wire_hex(wire, i ? "value" : "id", step.numbers[i]);
    if (step.path)
        wire_str(wire, "path", step.path);
    wire_send(wire);
}

/* Gives an input to the part of the probe that its word names, and says whether that failed. */
static bool give(const char *word, unsigned char *input, size_t count)
{
    static struct wire wire;
    struct console console = { .wire = &wire, .vcpu = 1 };
    char *exact = memcpy(malloc(count + 1), input, count);
    const unsigned char *id;
    size_t length = 0;

    wire_begin(&wire, put, WIRE_LINE_MAX, "harness");
    if (!strcmp(word, "text")) {
        wire_text(&wire, "name", (char *)input, count);
    } else if (!strcmp(word, "line")) {
        wire_line(&wire, "long");
        wire_bytes(&wire, "value", input, count);
        wire_send(&wire);
    } else if (!strcmp(word, "console")) {
        for (size_t i = 0; i < count; i++)
            console_put(&console, (char)input[i]);
        console_end(&console);
    } else if (!strcmp(word, "notes")) {
        id = find_build_id(input, count, &length);
        if (id)
            wire_text(&wire, "build-id", (const char *)id, length);
    } else if (!strcmp(word, "cpus")) {
        send_cpu_list(&wire, exact, count);
    } else if (!strcmp(word, "step")) {
        send_step(&wire, exact, count);
    } else if (!strcmp(word, "values")) {
        for (size_t i = 0; i < count; i++)
            console_value(&console, input[i]);
    } else if (!strcmp(word, "pairs")) {
        send_pairs(&wire, input, count);
    } else if (!strcmp(word, "features")) {
        memcpy(exact + 1, input, count); /* so that nothing of ours is behind it */
        send_features_in(&wire, exact + 1, count);
    }
    free(exact);
    wire_end(&wire);
    return wire.failed;
}

int main(void)
{
    static unsigned char input[8 << 20];
    char word[16];
    size_t count;

    while (next_input(word, input, sizeof(input), &count))
        send_answer(give(word, input, count));
    return 0;
}
"""


PORTABLE = ("notes.c", "console.c", "cpus.c", "pairs.c", "features.c", "files.c", "errors.c", "step.c")


@pytest.fixture(scope="module")
def harness(tmp_path_factory):
    vmm, include = (data_dir("guests") / part for part in ("vmm", "include"))
    sources = [vmm / name for name in PORTABLE]
    with served(tmp_path_factory.mktemp("harness"), HARNESS, sources, f"-I{include}", f"-I{vmm}") as program:

        def say(word: str, content: bytes, status: int | None = 0):
            ended, said = program.ask(content, word)
            assert ended == status or (status is None and ended in (0, 1))
            return parse(said, "harness").lines

        yield say


def joined(lines) -> bytes:
    return "".join(line.values["value"] for line in lines).encode("latin-1")


@settings(max_examples=40)
@given(st.binary(max_size=2000))
def test_a_text_arrives_whole(harness, content):
    assert joined(harness("text", content)) == content


def test_a_line_that_does_not_fit_is_an_error_and_not_cut(harness):
    assert len(harness("line", b"x" * (LINE_MAX - len("long n=1 value=\n")))[0].values["value"]) > 490
    (line,) = harness("line", b"x" * (LINE_MAX - len("long n=1 value=\n") + 1), status=1)
    assert (line.kind, line.values) == ("error", {"what": "line-too-long"})


def test_a_stream_that_does_not_fit_ends_with_an_error(harness):
    lines = harness("text", b"x" * 128 * (LINES_MAX + 1), status=1)
    assert len(lines) == LINES_MAX
    assert lines[-1].values == {"what": "too-many-lines"}


@settings(max_examples=40)
@given(st.lists(st.binary(max_size=159).map(lambda line: line.replace(b"\n", b""))))
def test_what_a_guest_says_is_passed_on_as_it_is(harness, content):
    lines = harness("console", b"".join(line + b"\n" for line in content))
    assert [line.values["line"].encode("latin-1") for line in lines] == content
    assert {line.values["vcpu"] for line in lines} <= {"1"}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\xff" * 160, "guest-line-too-long"),
        (b"\xff" * 159, "guest-line-unfinished"),
        (b"\n" * 513, "guest-says-too-much"),
        (b"x" * 500_000, "guest-line-too-long"),
    ],
)
def test_a_guest_that_says_too_much_is_stopped(harness, content, what):
    assert harness("console", content, status=1)[-1].values["what"] == what


def test_values_that_a_guest_sends_are_passed_on_and_bounded(harness):
    lines = harness("values", bytes(range(200)))
    assert [line.hex("value") for line in lines] == list(range(200))
    assert harness("values", bytes(513), status=1)[-1].values["what"] == "guest-says-too-much"


def note(owner: bytes, kind: int, content: bytes) -> bytes:
    name = owner + b"\0"
    return (
        struct.pack("=III", len(name), len(content), kind)
        + name.ljust(-(-len(name) // 4) * 4, b"\0")
        + content.ljust(-(-len(content) // 4) * 4, b"\0")
    )


BUILD_ID = bytes(range(20))
NOTES = (
    note(b"Linux", 3, b"wrong one")
    + note(b"Xen", 3, b"x" * 20)
    + note(b"GNU", 3, BUILD_ID)
    + note(b"Linux", 0x100, b"")
)


def test_the_build_id_is_the_gnu_note(harness):
    assert joined(harness("notes", NOTES)) == BUILD_ID
    assert not harness("notes", note(b"Linux", 3, BUILD_ID) + note(b"GNU", 1, BUILD_ID))


@pytest.mark.parametrize("field", [0, 4])
@pytest.mark.parametrize("size", [0x7FFFFFFF, 0xFFFFFFFC, 0xFFFFFFFD, 0xFFFFFFFF])
def test_a_note_that_claims_too_much_is_not_followed(harness, field, size):
    assert not harness("notes", NOTES[:field] + struct.pack("=I", size) + NOTES[field + 4 :])


@settings(max_examples=40)
@given(st.integers(0, len(NOTES)), st.binary(max_size=64))
def test_broken_notes_are_survived(harness, place, content):
    harness("notes", NOTES[:place])
    harness("notes", NOTES[:place] + content + NOTES[place + len(content) :])
    harness("notes", content)


def cpu_list(indices) -> bytes:
    """Write CPUs as the kernel does: runs of them, ascending."""
    runs = []
    for index in sorted(indices):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(f"{a}-{b}" if a < b else f"{a}" for a, b in runs).encode() + b"\n"


@settings(max_examples=40)
@given(st.sets(st.integers(0, 1023), min_size=1))
def test_the_list_of_cpus_is_read_as_the_kernel_writes_it(harness, indices):
    lines = harness("cpus", cpu_list(indices))
    assert [line.count("index") for line in lines] == sorted(indices)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "0",
        "0-\n",
        "-1\n",
        "3-1\n",
        "0,0\n",
        "0-3,2\n",
        "0-1024\n",
        "0,\n",
        "0 1\n",
        "9" * 40 + "\n",
    ],
)
def test_what_is_no_list_of_cpus_is_an_error(harness, text):
    (line,) = harness("cpus", text.encode(), status=1)
    assert line.values == {"what": "cpus-online", "errno": "EBADMSG"}


@settings(max_examples=40)
@given(st.binary(max_size=64))
def test_broken_lists_of_cpus_are_survived(harness, content):
    harness("cpus", content, status=None)


def pairs_of(harness, kinds: bytes) -> list[tuple[int, int]]:
    return [(line.count("origin"), line.count("target")) for line in harness("pairs", kinds)]


@pytest.mark.parametrize(
    ("kinds", "pairs"),
    [
        (b"a", [(0, 0)]),
        (b"aa", [(0, 1), (1, 0)]),
        (b"aaaa", [(0, 3), (3, 0)]),
        (b"aabb", [(0, 2), (2, 0)]),
        (b"abab", [(0, 1), (1, 0)]),
        (b"aabc", [(0, 2), (0, 3), (2, 0), (2, 3), (3, 0), (3, 2)]),
        (b"\x00\xc9\x00", [(0, 1), (1, 0)]),
        (bytes(range(256)), list(permutations(range(8), 2))),
    ],
)
def test_one_cpu_of_each_kind_stands_for_it(harness, kinds, pairs):
    assert pairs_of(harness, kinds) == pairs


@settings(max_examples=40)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=256))
def test_the_parser_expects_the_pairs_that_the_probe_chooses(harness, kinds):
    views = [
        View(
            vantage=Vantage.USERSPACE,
            vcpu=0,
            program="sweep",
            phase=PINNED,
            readings={"CTR_EL0": Reading(value=Hex(kind))},
            cpu=cpu,
        )
        for cpu, kind in enumerate(kinds)
    ]
    expected = [(origin.cpu, target.cpu) for origin, target in pairs.pairs(views)]
    assert pairs_of(harness, bytes(kinds)) == expected


def everything() -> Script:
    """Return a script with each kind of step."""
    script = Script()
    script.pin(1023)
    script.unpin()
    script.vm(8, slot=1)
    script.late_vcpu(slot=1)
    script.init(7, off=True, features=0xFFFFFFFF, slot=1)
    script.load("sweep", slot=1)
    script.start(7, slot=1)
    script.get(7)
    script.get_id(7, (1 << 64) - 1)
    script.list(7)
    script.set(7, 0x6030000000100000, 0)
    script.set_bad_pointer(7, 0)
    script.check(999999)
    script.give(213, 0x410FD0B0, slot=1)
    script.give_vcpu(7, 213, 2, slot=1)
    script.gic(slot=1)
    script.save("old.state", slot=1)
    script.restore("old.state", Way.LIST, slot=1)
    script.run(0, 0x201)
    script.drop(slot=1)
    return script


def test_every_step_that_a_script_has_is_understood(harness):
    script = everything()
    for step in script.steps:
        (line,) = harness("step", step.text("here/x-").encode())
        what, *arguments = step.words
        assert line.values["what"] == what
        said = list(line.values.values())
        assert {argument for argument in arguments if argument != "0"} <= set(said)
        assert line.values.get("path", "") == (f"here/x-{step.file}" if step.file else "")
        assert ("slot", "1") not in line.values.items() or "1" in arguments


@pytest.mark.parametrize(
    "line",
    [
        "",
        " ",
        "nonsense 0",
        "vm",
        "vm 0",
        "vm 0 1 2",
        "vm 0 1 ",
        "vm  0 1",
        " vm 0 1",
        "vm 2 1",
        "vm -1 1",
        "vm 0 0x1",
        "vm 0 1234567",
        "get 0 8",
        "init 0 0 4",
        "init 0 0 0x",
        "init 0 0 0x12345678123456781",
        "init 0 0 0xG",
        "init 0 0 0xA",
        "load 0 ",
        "load 0 a b",
        "unpin 0",
        "cap 0 213",
        "cap 0 213 2",
        "vcpucap 0 213 0x0",
        "vcpucap 0 8 213 0x0",
        "check 0 0x1",
        "gic",
        "gic 2",
        "save 0",
        "save 0 a b",
        "restore 0 a",
        "restore 0 0x0 a",
        "restore 0 0 ",
        "set 0 0 0x1",
        "set 0 0 0x1 0x2 0x3",
    ],
)
def test_what_is_no_step_is_an_error(harness, line):
    (said,) = harness("step", line.encode(), status=1)
    assert said.values == {"what": "malformed-step"}


@settings(max_examples=40)
@given(st.sampled_from(everything().steps), st.integers(0, 40), st.binary(max_size=24))
def test_broken_steps_are_survived(harness, step, place, content):
    line = step.text("x-").encode()
    harness("step", line[:place] + content + line[place + len(content) :], status=None)


FIRST = b"<6>[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x411fd402]\n"
LOG = (
    b"<6>[    0.000000][    T0] CPU features: detected: Mismatched cache type (CTR_EL0)\n"
    b"<6>[    0.000000] CPU features: kernel page table isolation forced ON\n"
    b"<12>[    3.100000] init: CPU features: detected: nonsense\n"
    b"CPU features: detected: without a prefix\n"
    b"<6>CPU features: detected: without a time"
)


def test_the_features_are_picked_from_the_log(harness):
    log, *features = harness("features", FIRST + LOG)
    assert (log.kind, log.values) == ("log", {"whole": "1"})
    assert {line.kind for line in features} == {"feature"}
    assert [line.values["value"] for line in features] == [
        "Mismatched cache type (CTR_EL0)",
        "without a prefix",
        "without a time",
    ]


def test_a_log_that_has_lost_its_beginning_says_so(harness):
    log, *features = harness("features", LOG + b"\n" + FIRST)
    assert log.values == {"whole": "0"}
    assert len(features) == 3


@settings(max_examples=40)
@given(st.integers(0, len(FIRST + LOG)), st.binary(max_size=32))
def test_broken_logs_are_survived(harness, place, content):
    log = FIRST + LOG
    harness("features", log[:place])
    harness("features", log[:place] + content + log[place + len(content) :])
    harness("features", content)


def test_programs_are_built_once_and_reproducibly(tmp_path, monkeypatch):
    first = build.built(Deadline(60))  # in the user's cache, where it most often is already
    clone = tmp_path / "elsewhere" / "guests"
    shutil.copytree(data_dir("guests"), clone)
    monkeypatch.setattr(build, "data_dir", lambda name: clone)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "second"))
    second = build.built(Deadline(60))
    made = {path.name: path.stat().st_mtime_ns for path in second.iterdir()}
    assert build.built(Deadline(60)) == second
    assert {path.name: path.stat().st_mtime_ns for path in second.iterdir()} == made
    assert second.parent != first.parent
    assert second.name == first.name
    assert {path.name for path in first.iterdir()} >= {"ccprobe", "ccprobe.so", "view.img", "aarch32.img"}
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()
        assert str(tmp_path).encode() not in path.read_bytes()


def test_a_changed_source_is_another_entry(tmp_path, monkeypatch):
    clone = tmp_path / "guests"
    shutil.copytree(data_dir("guests"), clone)
    before = build.cache_key(clone, "gcc 12")
    assert build.cache_key(clone, "gcc 13") != before
    (clone / "bare" / "view.c").write_text("int x;\n")
    assert build.cache_key(clone, "gcc 12") != before


def test_what_was_made_elsewhere_of_these_sources_does_without_a_compiler(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("ccsight.process.shutil.which", lambda name: None)
    guests = tmp_path / "ccsight" / "guests"
    recipe = build.recipe(data_dir("guests"))
    for name in (
        f"{recipe}-draft",
        "0123456789abcdef-gcc12",
    ):  # one without the library, one of other sources
        (guests / name).mkdir(parents=True)
    (guests / "0123456789abcdef-gcc12" / build.LIBRARY).touch()
    with pytest.raises(ToolMissing, match="no compiler for arm64"):
        build.built(Deadline(5))
    given = guests / f"{recipe}-gcc13"
    given.mkdir()
    (given / build.LIBRARY).touch()
    assert build.built(Deadline(5)) == given


def test_without_a_compiler_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr("ccsight.process.shutil.which", lambda name: None)
    with pytest.raises(ToolMissing) as caught:
        build.built(Deadline(5))
    assert caught.value.next_step == "apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
