"""Takes the probe to a host, runs it there, and brings back what it said: raw, and parsed.

Knows hosts only as something that takes files and commands; whether what came back fits what was asked
for is for the caller to judge.
"""

import hashlib
import secrets
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from ccsight.deadline import Deadline
from ccsight.errors import CcsightError, InfraError, ProbeError
from ccsight.evidence.views import View
from ccsight.machines.model import Feeding, Host
from ccsight.probes import hardware
from ccsight.probes import script as scripts
from ccsight.probes.build import PROBE
from ccsight.probes.identity import Identity, identity
from ccsight.probes.stream import STREAM_MAX, Stream, parse
from ccsight.probes.sweep import Swept, swept
from ccsight.probes.views import Observed, observed

#: Takes the name of a file and a raw stream for it.
Keep = Callable[[str, bytes], None]

VIEW_GUEST = "view.img"
SWEEP_GUEST = "sweep.img"
#: Under this name every script lies on the host, one after the other.
_SCRIPT = "script"
#: Its words are that file, and the command that reads it.
_FED = 'cat >"$0" && exec "$@" </dev/null'
#: How ccprobe ends when it has sent a stream: all was observed, or the stream says what was not.
_SENT = (0, 1)
#: ... and when somebody else ended it: by SIGKILL, as a shell has it.
_KILLED = 128 + 9
#: Seconds of a vCPU's run after which ccprobe ends a guest that spins; an emulated host needs far below one.
_GUEST_SECONDS = 10


@dataclass(frozen=True)
class Probe:
    """The probe as it lies on a host. ``programs`` maps the name of each file to its SHA-256."""

    host: Host
    place: str
    programs: dict[str, str]
    keep: Keep

    def identify(self, deadline: Deadline) -> Identity:
        """Return which kernel runs on which machine. Raises ProbeError."""
        return identity(self._run(["identity"], deadline))

    def observe(self, deadline: Deadline) -> Observed:
        """Return what userspace and a guest saw of the registers.

        Raises NoKvm when /dev/kvm cannot be opened, ProbeError when not everything was observed.
        """
        return observed(self._run(["view", self.path(VIEW_GUEST), str(_GUEST_SECONDS)], deadline))

    def hardware(self, module: Path, deadline: Deadline) -> tuple[View, ...]:
        """Return what each physical CPU says in the host's kernel, which takes ``module`` in meanwhile.

        Raises ProbeError when the kernel refuses it, or not everything was observed.
        """
        self.programs[module.name] = hashlib.sha256(module.read_bytes()).hexdigest()
        raw = hardware.fetched(self.host, module, self.path(module.name), deadline)
        self.keep("hardware.stream", raw)
        return hardware.views(parse(raw, module.stem))

    def sweep(self, deadline: Deadline) -> Swept:
        """Return what was seen and written on each physical CPU. Raises as ``observe`` does."""
        return swept(self._run(["sweep", self.path(SWEEP_GUEST), str(_GUEST_SECONDS)], deadline))

    def script(self, name: str, script: scripts.Script, deadline: Deadline) -> scripts.Results:
        """Return what came of each step of a script; ``name`` is what its stream is kept under.

        Raises as ``observe`` does.
        """
        place, text = self.path(_SCRIPT), script.text(self.path(""))
        arguments = ["script", place, str(_GUEST_SECONDS)]
        if isinstance(self.host, Feeding):
            return scripts.results(self._run(arguments, deadline, name, text.encode()), script)
        with NamedTemporaryFile("w") as file:
            file.write(text)
            file.flush()
            self.host.push(Path(file.name), place, deadline, mode=0o600)
        return scripts.results(self._run(arguments, deadline, name), script)

    def caches(self, deadline: Deadline) -> Stream:
        """Return what the host's own sysfs says of its caches."""
        return self._run(["caches"], deadline)

    def linux(self, name: str, arguments: Sequence[str], deadline: Deadline) -> Stream:
        """Return what ccprobe says of a Linux guest; ``name`` is what its stream is kept under.

        The first three of ``arguments`` are names of files that ``lay`` has put beside the programs, or
        whole paths.
        """
        files = [file if file.startswith("/") else self.path(file) for file in arguments[:3]]
        return self._run(["linux", *files, *arguments[3:]], deadline, name)

    def lay(self, bundle: Path, deadline: Deadline) -> None:
        """Lay out a tar archive, packed with gzip, beside the programs."""
        place = self.path(bundle.name)
        self.host.push(bundle, place, deadline, mode=0o600)
        words = 'gunzip -c "$0" | tar -xf - -C "$1" && rm "$0"'
        done = self.host.run(["sh", "-c", words, place, self.place], deadline)
        if done.returncode:
            raise ProbeError(
                f"what a Linux guest needs cannot be unpacked on the machine: status {done.returncode}",
                evidence=done.stderr.decode(errors="replace")[-500:].strip(),
                next_step="it needs gunzip, tar, and room in /tmp",
            )

    def path(self, name: str) -> str:
        """Return where a file lies, or shall lie, beside the probe."""
        return f"{self.place}/{name}"

    def _run(self, arguments: list[str], deadline: Deadline, name: str = "", script: bytes = b"") -> Stream:
        """Run the probe; a ``script`` goes to the host with the command, into the file that it names."""
        argv = [self.path(PROBE), *arguments]
        if script and isinstance(self.host, Feeding):
            fed = ["sh", "-c", _FED, arguments[1], *argv]
            done = self.host.feed(fed, script, deadline, limit=STREAM_MAX)
        else:
            done = self.host.run(argv, deadline, limit=STREAM_MAX)
        self.keep(f"{name or arguments[0]}.stream", done.stdout)
        source = f"{PROBE} {arguments[0]} {name}".strip()
        if done.returncode == _KILLED:
            raise InfraError(
                f"{source} was killed on the machine",
                evidence=f"status {done.returncode}, after {len(done.stdout)} bytes of its stream",
                next_step="look for the out-of-memory killer on the console, and repeat the capture",
            )
        if done.returncode not in _SENT:
            raise ProbeError(
                f"{source} ended with status {done.returncode} on the machine",
                evidence=done.stderr.decode(errors="replace")[-500:].strip(),
                next_step="run it there by hand: " + " ".join(done.argv),
            )
        return parse(done.stdout, source)


def hashes(folder: Path, probe: str) -> dict[str, str]:
    """Return the SHA-256 of what observes: one form of the probe, and all guests."""
    names = (probe, *sorted(path.name for path in folder.glob("*.img")))
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


@contextmanager
def placed(host: Host, folder: Path, deadline: Deadline, keep: Keep) -> Iterator[Probe]:
    """Put the programs of ``folder`` (see ``build.built``) on a host; leaving removes them.

    ``keep`` is given every stream as it came, under the name of a file, before anybody looks into it.
    They go as one archive. The name has a random part: no other run, and no other user of a real machine,
    meets it.
    """
    place = f"/tmp/ccsight-{secrets.token_hex(8)}"  # noqa: S108 - pushed whole, under a name nobody can guess
    programs = hashes(folder, PROBE)
    bundle = f"{place}.tar"
    try:
        with NamedTemporaryFile() as file:
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
                for name in programs:
                    archive.add(folder / name, name)
            file.flush()
            host.push(Path(file.name), bundle, deadline, mode=0o600)
        _unpack(host, bundle, place, deadline)
        yield Probe(host, place, programs, keep)
    finally:
        with suppress(CcsightError):  # what happened inside matters more, and the name is unique
            host.run(["rm", "-rf", place, bundle], deadline)


def _unpack(host: Host, bundle: str, place: str, deadline: Deadline) -> None:
    """Lay the programs out in a folder of their own: every file sent by itself would cost a round trip."""
    done = host.run(
        ["sh", "-c", 'mkdir -m 700 "$1" && gunzip -c "$0" | tar -xf - -C "$1"', bundle, place], deadline
    )
    if done.returncode:
        raise ProbeError(
            f"the probe cannot be unpacked on the machine: status {done.returncode}",
            evidence=done.stderr.decode(errors="replace")[-500:].strip(),
            next_step="it needs a shell, gunzip, tar, and room in /tmp",
        )
