"""ccprobe from its arguments to the end of its stream, under the sanitizers: scripts of any bytes, no KVM."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsight.paths import data_dir
from ccsight.probes.stream import parse

#: The parts that are at work here. What the others export is never called.
PARTS = ("commands.c", "script.c", "step.c", "files.c", "errors.c")
_STEPS = """
vm 0 2, pin 1, unpin, get 0 1, drop 0, vcpu 0, get 0 9, run 0 0 0x1, gic 0, pmu 0, check 0 1, cap 0 1 0x2,
vcpucap 0 1 1 0x2, save 0 file, restore 0 2 file
"""
WORDS = st.sampled_from([step.strip() for step in _STEPS.split(",")])


@pytest.fixture(scope="module")
def say(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scripted")
    guests = data_dir("guests")
    flags = ["-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror", "-fno-pie", "-no-pie"]
    flags += [
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
        "-Wl,--unresolved-symbols=ignore-all",
    ]
    includes = [f"-I{guests / 'include'}", f"-I{guests / 'vmm'}"]
    sources = [Path(__file__).with_name("scripted.c"), *(guests / "vmm" / name for name in PARTS)]
    subprocess.run(["gcc", *flags, *includes, "-o", folder / "scripted", *sources], check=True)

    def say(*words: str, script: bytes = b""):
        (folder / "script").write_bytes(script)
        argv = [folder / "scripted", *(word.replace("SCRIPT", str(folder / "script")) for word in words)]
        done = subprocess.run(argv, capture_output=True, check=False)
        assert b"Sanitizer" not in done.stderr
        return done

    return say


def test_a_script_is_answered_line_by_line(say):
    done = say("script", "SCRIPT", "5", script=b"vm 0 2\nget 0 1\ndrop 0\n")
    assert (done.returncode, done.stderr) == (0, b"")
    stream = parse(done.stdout, "scripted")
    assert stream.program == "ccprobe-script"
    assert [line.values.get("what", line.kind) for line in stream.lines] == ["kvm", "vm", "get", "drop"]


@settings(max_examples=40)
@given(
    st.lists(WORDS | st.text(max_size=40).map(lambda text: text.replace("\n", " "))), st.binary(max_size=40)
)
def test_scripts_of_any_bytes_are_survived(say, lines, rest):
    done = say("script", "SCRIPT", script="".join(f"{line}\n" for line in lines).encode() + rest)
    assert done.returncode in (0, 1)
    stream = parse(done.stdout, "scripted")
    errors = [line for line in stream.lines if line.kind == "error"]
    assert len(errors) == done.returncode
    assert errors == [] or stream.lines[-1] == errors[0]


@pytest.mark.parametrize(
    "step",
    ["save 0 file", "restore 0 0 file", "gic 0", "pmu 0", "check 0 1", "cap 0 1 0x0", "vcpucap 0 0 1 0x0"],
)
def test_what_is_done_with_a_vm_needs_one(say, step):
    done = say("script", "SCRIPT", script=f"{step}\nvm 0 1\n".encode())
    assert parse(done.stdout, "scripted").lines[-1].values == {"what": "impossible-step", "step": "1"}
    done = say("script", "SCRIPT", script=f"vm 0 1\n{step}\n".encode())
    assert (done.returncode, parse(done.stdout, "scripted").lines[-1].kind) == (0, "step")


@pytest.mark.parametrize("step", ["restore 0 3 file", "vcpucap 0 1 1 0x0"])
def test_a_way_or_a_vcpu_that_there_is_not(say, step):
    done = say("script", "SCRIPT", script=f"vm 0 1\n{step}\n".encode())
    assert parse(done.stdout, "scripted").lines[-1].values == {"what": "impossible-step", "step": "2"}


def test_a_script_that_is_not_there(say):
    done = say("script", "SCRIPT/absent")
    assert done.returncode == 1
    assert parse(done.stdout, "scripted").lines[-1].values == {"what": "read-script", "errno": "ENOTDIR"}


@pytest.mark.parametrize(
    "words",
    [(), ("nothing",), ("script",), ("script", "SCRIPT", "0"), ("script", "SCRIPT", "3601"),
     ("script", "SCRIPT", "1x"), ("view", "SCRIPT", "1", "2"), ("identity", "more", "and", "more")],
)  # fmt: skip
def test_wrong_usage_sends_nothing(say, words):
    done = say(*words)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"usage: ccprobe ")
