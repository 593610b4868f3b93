"""What every Host must do, whatever it is made of. A test class derives from it and gives ``host``."""

import stat
import time

import pytest

from ccsight.deadline import Deadline
from ccsight.errors import DeadlineExceeded, InfraError
from ccsight.process import OutputTooLong

ODD = [
    "",
    " ",
    "two words; $HOME 'quoted' \"twice\" \\ * ? ~ `id` $(id) | & < > #",
    "a\nnew\tline",
    "-n",
    "ä → €",
    "%s",
]


class HostConformance:
    @pytest.fixture
    def folder(self, host):
        made = host.run(["mktemp", "-d"], Deadline(20)).text.strip()
        yield made
        host.run(["rm", "-rf", made], Deadline(20))

    def test_argv_arrives_as_sent(self, host):
        done = host.run(["printf", "[%s]\\0", *ODD], Deadline(20))
        assert done.stdout.decode().split("\0")[:-1] == [f"[{word}]" for word in ODD]

    @pytest.mark.parametrize("status", [0, 1, 42, 255])
    def test_the_exit_status_comes_back(self, host, status):
        assert host.run(["sh", "-c", f"exit {status}"], Deadline(20)).returncode == status

    def test_a_signal_reads_as_a_shell_says_it(self, host):
        assert host.run(["sh", "-c", "kill -SEGV $$"], Deadline(20)).returncode == 128 + 11

    def test_a_missing_program_is_127(self, host):
        assert host.run(["no-such-program"], Deadline(20)).returncode == 127

    def test_the_streams_are_kept_apart(self, host):
        done = host.run(["sh", "-c", "echo out; echo err >&2"], Deadline(20))
        assert (done.stdout, done.stderr) == (b"out\n", b"err\n")

    def test_nothing_can_be_read_from_stdin(self, host):
        assert host.run(["cat"], Deadline(20)).stdout == b""

    def test_much_output_on_both_streams_does_not_hang(self, host):
        both = "head -c 11000000 /dev/zero >&2; head -c 11000000 /dev/zero; echo end"
        done = host.run(["sh", "-c", both], Deadline(60))
        assert (len(done.stdout), len(done.stderr), done.returncode) == (11_000_004, 11_000_000, 0)
        assert done.stdout.endswith(b"end\n")

    def test_output_is_bounded(self, host):
        with pytest.raises(OutputTooLong, match="more than 100000 bytes"):
            host.run(["head", "-c", "1000000", "/dev/zero"], Deadline(20), limit=100_000)
        assert host.run(["echo", "still here"], Deadline(20)).text == "still here\n"

    def test_a_deadline_ends_a_command_and_not_the_host(self, host):
        start = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            host.run(["sleep", "30"], Deadline(1))
        assert time.monotonic() - start < 5
        assert host.run(["echo", "still here"], Deadline(20)).text == "still here\n"

    @pytest.mark.parametrize("mode", [0o755, 0o600])
    def test_a_file_makes_the_round_trip(self, host, folder, tmp_path, mode):
        local, remote = tmp_path / "sent", f"{folder}/it"
        content = bytes(range(256)) * 5000  # over SSH in another way than a small one
        local.write_bytes(content)
        for _ in range(2):  # the second one replaces the first
            host.push(local, remote, Deadline(30), mode=mode)
        assert host.fetch(remote, Deadline(30)) == content
        shown = host.run(["stat", "-c", "%a", remote], Deadline(20)).text
        assert stat.S_IMODE(int(shown, 8)) == mode
        assert host.run(["ls", "-A", folder], Deadline(20)).text == "it\n"

    def test_an_empty_file_makes_the_round_trip(self, host, folder, tmp_path):
        (tmp_path / "empty").touch()
        host.push(tmp_path / "empty", f"{folder}/it", Deadline(30))
        assert host.fetch(f"{folder}/it", Deadline(30)) == b""

    def test_files_of_the_kernel_can_be_fetched(self, host):
        assert host.fetch("/proc/version", Deadline(20)).startswith(b"Linux version ")
        shown = host.run(["cat", "/proc/kallsyms"], Deadline(60)).stdout
        assert len(host.fetch("/proc/kallsyms", Deadline(60))) == len(shown) > 100_000

    def test_a_fetch_is_bounded(self, host):
        with pytest.raises(OutputTooLong):
            host.fetch("/proc/kallsyms", Deadline(20), limit=1000)

    def test_a_missing_file_is_an_error_and_the_host_stays(self, host, folder, tmp_path):
        with pytest.raises(InfraError, match="/no/such/file"):
            host.fetch("/no/such/file", Deadline(20))
        with pytest.raises(InfraError, match="copying"):
            host.push(tmp_path / "absent", f"{folder}/it", Deadline(20))
        (tmp_path / "there").touch()
        with pytest.raises(InfraError, match="copying"):
            host.push(tmp_path / "there", "/no/such/folder/x", Deadline(20))
        assert host.run(["true"], Deadline(20)).returncode == 0


class FeedingConformance:
    """What a Host must do, too, that can give a program something to read."""

    @pytest.mark.parametrize(
        "content",
        [
            b"a line\nand $HOME 'quoted' %s \\n\n",
            b"-n",
            b"\0\xff" * 1000,
            "ä → €".encode(),
            b"'" * 3000,
            b"x" * 200_000,
        ],
        ids=["text", "option", "binary", "unicode", "quotes", "long"],
    )
    def test_what_it_is_given_arrives_as_sent(self, host, content):
        done = host.feed(["sh", "-c", "cat; exit 3"], content, Deadline(20))
        assert (done.stdout, done.returncode) == (content, 3)

    def test_what_nobody_reads_is_no_trouble(self, host):
        for content in (b"short", b"x" * 100_000):
            assert host.feed(["true"], content, Deadline(20)).returncode == 0
        assert host.run(["echo", "still here"], Deadline(20)).text == "still here\n"


class HoldingConformance:
    """What a Host must do, too, that can have a program run for as long as somebody is there."""

    def test_a_program_is_held_until_the_context_ends(self, host):
        folder = host.run(["mktemp", "-d"], Deadline(20)).text.strip()
        script = f"echo here; echo more; cat; touch {folder}/ended"
        with host.hold(["sh", "-c", script], Deadline(20)) as line:
            assert line == b"here\n"
            assert host.run(["ls", folder], Deadline(20)).text == ""
        clock = Deadline(20)
        while host.run(["ls", folder], clock).text != "ended\n":
            clock.check("the end of a program whose input has ended")

    @pytest.mark.parametrize("script", ["true", "printf half", "head -c 10000 /dev/zero"])
    def test_a_program_that_says_no_line_cannot_be_held(self, host, script):
        with pytest.raises(InfraError, match="said no line"), host.hold(["sh", "-c", script], Deadline(20)):
            pytest.fail("it was held")
        assert host.run(["echo", "still here"], Deadline(20)).text == "still here\n"

    def test_a_program_that_says_nothing_is_waited_for_until_the_deadline(self, host):
        with pytest.raises(DeadlineExceeded), host.hold(["cat"], Deadline(0.5)):
            pytest.fail("it was held")
