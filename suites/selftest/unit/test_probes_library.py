"""The probe called as a library: what it does to its process stays there, what it says comes back whole."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from host_conformance import HostConformance

from ccsight.deadline import Deadline
from ccsight.errors import DeadlineExceeded, ProbeError
from ccsight.machines.local import LocalHost
from ccsight.paths import data_dir
from ccsight.probes import library
from ccsight.process import OutputTooLong

LIMIT = 1 << 20


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """What build.built() returns, with a library that runs here."""
    made = tmp_path_factory.mktemp("library")
    flags = ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{data_dir('guests') / 'vmm'}"]
    source = Path(__file__).with_name("fake_probe.c")
    subprocess.run(["gcc", *flags, "-o", made / "ccprobe.so", source], check=True)
    (made / "view.img").write_bytes(b"an image")
    return made


@pytest.fixture
def call(built):
    def call(*words: str, seconds: float = 20, limit: int = LIMIT):
        return library.call(built / "ccprobe.so", ["ccprobe", *words], Deadline(seconds), limit=limit)

    return call


class TestLibraryHost(HostConformance):
    @pytest.fixture
    def host(self, built):
        return library.LibraryHost(LocalHost(), "/somewhere/ccprobe", built / "ccprobe.so")

    def test_the_probe_is_called_and_not_run(self, host):
        done = host.run(["/somewhere/ccprobe", "say", "it"], Deadline(20))
        assert (done.stdout, done.returncode) == (b"3 1 it", 1)


def test_arguments_stream_and_status_go_through(call):
    odd = "two words; $HOME 'quoted' ä"
    done = call("say", odd)
    assert (done.stdout.decode(), done.returncode) == (f"3 1 {odd}", 1)
    assert done.argv == ("ccprobe", "say", odd)


def test_stdout_is_left_alone(call, capfd):
    assert call("say").stderr == b"to stdout\nto stderr\n"
    assert capfd.readouterr() == ("", "")


def test_every_call_is_the_first_one(call):
    assert [call("say").stdout for _ in range(3)] == [b"2 1 -"] * 3


def test_the_librarys_clock_is_not_the_callers(call):
    met = []
    before = signal.signal(signal.SIGALRM, lambda *_: met.append(1))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    try:
        assert call("tick").stdout == b"ticked"
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        signal.signal(signal.SIGALRM, before)
    assert met == []


def test_a_call_that_hangs_meets_the_deadline_and_is_gone(call, tmp_path):
    before = _children(os.getpid())  # other tests of this process may have started what stays
    with pytest.raises(DeadlineExceeded, match="ccprobe hang did not end"):
        call("hang", str(tmp_path / "called"), seconds=1)
    assert (tmp_path / "called").exists()
    assert _children(os.getpid()) == before


def test_a_crash_reads_as_a_shell_says_it(call):
    assert call("crash").returncode == 128 + signal.SIGABRT


def test_a_flood_is_bounded(call):
    with pytest.raises(OutputTooLong, match=f"more than {LIMIT} bytes"):
        call("flood")


def test_a_library_that_is_none_says_so(tmp_path):
    (tmp_path / "ccprobe.so").write_bytes(b"no ELF at all")
    done = library.call(tmp_path / "ccprobe.so", ["ccprobe", "view"], Deadline(20), limit=LIMIT)
    assert (done.returncode, done.stdout) == (126, b"")
    assert b"OSError" in done.stderr


def test_a_call_dies_with_its_caller(built, tmp_path):
    mark = tmp_path / "called"
    script = (
        "import sys; from pathlib import Path; from ccsight.deadline import Deadline\n"
        "from ccsight.probes.library import call\n"
        "call(Path(sys.argv[1]), ['ccprobe', 'hang', sys.argv[2]], Deadline(60), limit=1000)\n"
    )
    caller = subprocess.Popen([sys.executable, "-c", script, built / "ccprobe.so", mark])
    try:
        _until(mark.exists)
        (child,) = _children(caller.pid)
    finally:
        caller.kill()
        caller.wait()
    _until(lambda: not _runs(child))


def test_the_guests_are_laid_out_and_taken_away(built):
    kept = {}
    with library.at_hand(LocalHost(), built, Deadline(20), kept.__setitem__) as probe:
        place = Path(probe.place)
        assert (place / "view.img").read_bytes() == b"an image"
        assert probe.programs == {
            name: hashlib.sha256((built / name).read_bytes()).hexdigest()
            for name in ("ccprobe.so", "view.img")
        }
        with pytest.raises(ProbeError, match="ccprobe identity ended with status 134"):
            probe.identify(Deadline(20))
    assert kept == {"identity.stream": b""}
    assert not place.exists()


def _children(pid: int) -> list[int]:
    return [
        int(word)
        for task in Path(f"/proc/{pid}/task").glob("*/children")
        for word in task.read_text().split()
    ]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(true) -> None:
    clock = Deadline(20)
    while not true():
        clock.check("waiting")
        time.sleep(0.01)
