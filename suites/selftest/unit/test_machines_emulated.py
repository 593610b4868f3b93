"""What can be told of an emulated machine without starting one."""

import pytest

from ccsight.deadline import Deadline
from ccsight.errors import UsageError
from ccsight.kernels.model import Kernel
from ccsight.machines import console, pulse
from ccsight.machines.emulated import Board, EmulatedMachine, board
from ccsight.machines.pulse import Pulse
from ccsight.machines.registry import machine, parse
from ccsight.specs import Spec
from ccsight.toolbox.qemu import Qemu


def _soon():
    return Deadline(0.2)


def test_a_spec_says_what_is_asked_for():
    assert board(parse("emulated:neoverse-n1")) == Board("neoverse-n1")
    every = parse("emulated:max,cpus=4,mte=on,memory=1024,mode=nvhe")
    assert board(every) == Board("max", cpus=4, memory=1024, mte=True, mode="nvhe")
    assert board(parse("emulated:max,modules=off")) == Board("max", modules=False)
    assert machine("emulated:max,mte=on").spec == "emulated:max,mte=on"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("emulate:max", "did you mean 'emulated'"),
        ("max", "is not a machine"),
        ("emulated:", "lacks what comes after"),
        ("emulated:max,cpu=2", "did you mean 'cpus'"),
        ("emulated:max,cpus=two", "1 to 8"),
        ("emulated:max,cpus=0", "1 to 8"),
        ("emulated:max,cpus=9", "1 to 8"),
        ("emulated:max,mte=yes", "on or off"),
        ("emulated:max,modules=no", "on or off"),
        ("emulated:max,mode=hvhe", "nvhe, protected or nested"),
        ("emulated:max,memory=64", "from 256"),
        ("emulated:neoverse-v1,mte=on", "has no MTE"),
        ("silicon:rk3588,mte=on", "neoverse-n2, max"),
    ],
)
def test_a_bad_spec_is_a_usage_error(text, message):
    with pytest.raises(UsageError, match=message):
        machine(text)


def test_the_command_line_ends_with_the_kernels_own(tmp_path):
    kernel = Kernel(
        Spec("x", "image", "x", ()), "x", "6", tmp_path / "Image", "", frozenset(), append="a=b c"
    )
    argv = EmulatedMachine(parse("emulated:max,mode=nvhe")).command(
        Qemu(("qemu",), (11, 0, 0), ""), kernel, "word"
    )
    said = argv[argv.index("-append") + 1].split()
    assert said[-2:] == ["a=b", "c"]
    assert {"ccsight.boot=word", "kvm-arm.mode=nvhe", "panic=-1"} <= set(said)
    assert argv[argv.index("-cpu") + 1] == "max,pauth-impdef=on"


PANIC = """\
\x1b[2J[    0.000000] Booting Linux
\r
[    0.5] one\r
[    0.6] VFS: Cannot open root device\r
[    0.7] Kernel panic - not syncing: VFS: Unable to mount root fs\r
[    0.8] CPU: 0 PID: 1\r
[    0.9] ---[ end Kernel panic - not syncing: VFS: Unable to mount root fs ]---\r
"""


def test_the_last_words_are_those_up_to_the_panic(tmp_path):
    log = tmp_path / "console.log"
    log.write_text(PANIC, newline="")
    assert console.panic(log) == "VFS: Unable to mount root fs"
    words = console.last_words(log)
    assert words.startswith("Booting Linux / one / VFS: Cannot open root device / Kernel panic")
    assert words.endswith(f"({log}:5)")


def test_without_a_panic_the_last_words_are_the_last_lines(tmp_path):
    log = tmp_path / "console.log"
    log.write_bytes(b"".join(b"line %d\n" % number for number in range(100)) + b"\xff\xfe half")
    assert console.panic(log) == ""
    assert console.last_words(log).endswith(f"half ({log}:101)")


@pytest.mark.parametrize("content", [None, b"", b"\r\n\x1b[0m\r\n"])
def test_an_empty_console_has_no_words(tmp_path, content):
    log = tmp_path / "console.log"
    if content is not None:
        log.write_bytes(content)
    assert (console.panic(log), console.last_words(log)) == ("", "")


def test_lines_of_a_huge_console_are_numbered_from_its_start(tmp_path):
    log = tmp_path / "console.log"
    log.write_bytes(b"x" * 99 + b"\n" + b"0123456789abcdef\n" * 200_000)
    assert console.last_words(log).endswith(f"({log}:200001)")


@pytest.fixture
def port():
    """Our end of a readiness port, and a function that plays the guest."""
    ours = Pulse()
    yield ours, ours.theirs
    ours.close()


def test_a_pulse_is_ready_after_the_word(port):
    ours, guest = port
    guest.sendall(b"rea")
    assert not ours.wait(_soon())
    guest.sendall(b"dy\r\nbeat\r\n")
    assert ours.wait(_soon())
    assert (ours.ready, ours.gone) == (True, "")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"failed to load a.ko\r\n", "failed to load a.ko"),
        (b"hello\n", "the machine said 'hello'"),
        (b"\xff\n", "the machine said '\ufffd'"),
    ],
)
def test_other_words_mean_that_it_is_lost(port, said, why):
    ours, guest = port
    guest.sendall(said)
    assert ours.wait(_soon())
    assert (ours.gone, ours.ended) == (why, False)


def test_the_end_of_the_stream_is_the_end_of_the_machine(port):
    ours, guest = port
    guest.sendall(b"ready\n")
    assert ours.wait(_soon())
    ours.started()
    assert ours.listen() == "the emulator ended"
    assert ours.ended


def test_silence_means_that_it_is_lost(port, monkeypatch):
    ours, guest = port
    guest.sendall(b"ready\n")
    assert ours.wait(_soon())
    assert ours.listen() == ""
    monkeypatch.setattr(pulse, "SILENCE", 0.0)
    assert "silent" in ours.listen()


def test_a_port_that_nobody_asks_about_never_fills(port, monkeypatch):
    monkeypatch.setattr(pulse, "OFTEN", 0.005)
    ours, guest = port
    emulator = guest.dup()
    ours.started()
    emulator.settimeout(5)
    for _ in range(300):  # characters one by one, as an emulated UART sends them: 278 fill a socket
        for character in b"beat\n":
            emulator.send(bytes([character]))
    assert ours.listen() == ""
    emulator.close()


def test_a_guest_that_ends_no_line_fills_no_memory(port):
    ours, guest = port
    for _ in range(100):
        guest.sendall(b"x" * 1000)
        ours.listen()
    assert len(ours.heard) <= 4096
