"""A QEMU on a host, as a VMM that uses the host's KVM: started, asked over QMP, listened to, ended.

It is driven by nothing but a shell: QMP goes through two FIFOs, so no port and no other program is needed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import ProbeError
from ccsight.machines.model import Host
from ccsight.probes.stream import STREAM_MAX

#: Seconds after which a QEMU ends that nobody ended.
_LEASH = 600
_POLL = 0.3

#: In a session of its own it outlives the command that starts it, on any kind of host.
_START = """
dir=$1
mkdir -m 700 "$dir" && mkfifo "$dir/qmp.in" "$dir/qmp.out" && : >"$dir/console" || exit 1
setsid sh -c "$3" watch "$@" </dev/null >"$dir/stdout" 2>"$dir/stderr" &
until [ -s "$dir/pid" ]; do sleep 0.05; done
"""
#: How it ended is written to a file, then to whoever waits for an answer.
_WATCH = """
dir=$1 leash=$2
shift 3
timeout "$leash" "$@" &
echo $! >"$dir/pid"
wait $!
echo $? >"$dir/status"
echo gone 1<>"$dir/qmp.out"
"""
#: Opened both ways a FIFO never blocks, and keeps what was written. The answer is the line with the word.
_ASK = """
dir=$1 word=$2
exec 3<>"$dir/qmp.in" 4<>"$dir/qmp.out"
[ -e "$dir/status" ] && { echo gone; exit; }
echo "$3" >&3
while read -r line <&4; do
	echo "$line"
	case $line in *"$word"*|gone) exit;; esac
done
"""
_END = """
dir=$1
if [ -e "$dir/pid" ] && [ ! -e "$dir/status" ]; then
	kill "$(cat "$dir/pid")"
	for try in 1 2 3 4 5 6 7 8 9; do [ -e "$dir/status" ] && break; sleep 0.2; done
fi
rm -rf "$dir"
"""


class VmmGone(ProbeError):
    """The VMM ended before it answered; the evidence has its own words."""


class _Answer(msgspec.Struct, frozen=True):
    """What QMP answers: an object, or an error."""

    id: str = ""
    returned: dict[str, object] = msgspec.field(default_factory=dict, name="return")
    error: dict[str, str] = msgspec.field(default_factory=dict)


@dataclass(frozen=True)
class Vmm:
    """A QEMU on a host. ``argv`` starts the program there, ``place`` is a folder of its own on the host."""

    host: Host
    argv: tuple[str, ...]
    place: str

    def start(self, options: Sequence[str], deadline: Deadline) -> str:
        """Start it with a machine's options, and return its version. Raises VmmGone when it refuses them."""
        wiring = ("-qmp", f"pipe:{self.place}/qmp", "-serial", f"file:{self.place}/console")
        begun = ["sh", "-c", _START, "start", self.place, str(_LEASH), _WATCH, *self.argv, *options, *wiring]
        done = self.host.run(begun, deadline)
        if done.returncode:
            raise ProbeError(f"{self.place} cannot be made", evidence=done.stderr.decode(errors="replace"))
        self.ask("qmp_capabilities", deadline)
        version = self.ask("query-version", deadline)
        return _version(version)

    def ask(self, command: str, deadline: Deadline, /, **arguments: object) -> dict[str, object]:
        """Return what a QMP command answers. Raises VmmGone, or ProbeError for one that is refused."""
        question = msgspec.json.encode({"execute": command, "arguments": arguments, "id": command}).decode()
        asked = ["sh", "-c", _ASK, "ask", self.place, f'"id": "{command}"', question]
        lines = self.host.run(asked, deadline).text.splitlines()
        if not lines or lines[-1] == "gone":
            raise VmmGone(f"QEMU ended before it answered {command}", evidence=self.words(deadline))
        answer = msgspec.json.decode(lines[-1], type=_Answer)
        if answer.error:
            raise ProbeError(f"QEMU refuses {command}", evidence=answer.error.get("desc", lines[-1]))
        return answer.returned

    def gone(self, deadline: Deadline) -> bool:
        """Return whether it has ended."""
        return self.host.run(["test", "-e", f"{self.place}/status"], deadline).returncode == 0

    def words(self, deadline: Deadline) -> str:
        """Return what it said to its user so far."""
        return self.host.fetch(f"{self.place}/stderr", deadline).decode(errors="replace").strip()

    def console(self, deadline: Deadline) -> bytes:
        """Return what the guest wrote to its console so far."""
        return self.host.fetch(f"{self.place}/console", deadline, limit=STREAM_MAX)

    def wait_console(self, enough: Callable[[bytes], bool], deadline: Deadline) -> bytes:
        """Return the console as soon as it is enough. Raises VmmGone or DeadlineExceeded."""
        while not enough(said := self.console(deadline)):
            if self.gone(deadline):
                raise VmmGone("QEMU ended while its guest ran", evidence=self.words(deadline))
            deadline.check(f"the guest below {self.place}")
            process.pause(_POLL, deadline)
        return said

    def end(self, deadline: Deadline) -> None:
        """End it, and remove its folder."""
        self.host.run(["sh", "-c", _END, "end", self.place], deadline)


def unpacked(folder: str) -> tuple[str, ...]:
    """Return how a QEMU is started that lies on the host as ``toolbox/arm64_qemu`` lays it out."""
    loader, program = f"{folder}/lib/ld-linux-aarch64.so.1", f"{folder}/bin/qemu-system-aarch64"
    return (loader, "--inhibit-cache", "--library-path", f"{folder}/lib", program)


def _version(said: dict[str, object]) -> str:
    """Return ``7.2.22 Debian 1:7.2+dfsg-7+deb12u18+b3``."""
    numbers = msgspec.convert(said["qemu"], type=dict[str, int])
    text = ".".join(str(numbers[part]) for part in ("major", "minor", "micro"))
    return f"{text} {said.get('package', '')}".strip()
