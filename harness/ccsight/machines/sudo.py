"""A host on which every command runs as root, through sudo where that asks for nothing.

No password is ever given.
"""

import secrets
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import HostRefused
from ccsight.machines.model import Reached
from ccsight.process import Completed, OutputTooLong

SUDO = ("sudo", "-n", "--")


@dataclass(frozen=True)
class SudoHost:
    """Another host, as root. Files go through a folder of everybody's, under names that nobody can guess."""

    host: Reached

    def run(self, argv: Sequence[str], deadline: Deadline, *, limit: int = 64 << 20) -> Completed:
        """See :class:`ccsight.machines.model.Host`."""
        return self.feed(argv, b"", deadline, limit=limit)

    def feed(
        self, argv: Sequence[str], content: bytes, deadline: Deadline, *, limit: int = 64 << 20
    ) -> Completed:
        """See :class:`ccsight.machines.model.Feeding`."""
        # A shell between: sudo has statuses of its own for what is not there, or what a signal ended.
        whole = [*SUDO, "sh", "-c", f"{shlex.join(argv)}; exit $?"]
        done = self.host.feed(whole, content, deadline, limit=limit)
        return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)

    @contextmanager
    def hold(self, argv: Sequence[str], deadline: Deadline) -> Iterator[bytes]:
        """See :class:`ccsight.machines.model.Holding`."""
        with self.host.hold([*SUDO, *argv], deadline) as line:
            yield line

    def push(self, local: Path, remote: str, deadline: Deadline, *, mode: int = 0o755) -> None:
        """See :class:`ccsight.machines.model.Host`."""
        draft = f"/tmp/ccsight-{secrets.token_hex(8)}"  # noqa: S108
        self.host.push(local, draft, deadline, mode=0o600)
        words = 'chown 0:0 "$0" && chmod "$2" "$0" && mv -f "$0" "$1"'
        done = self.run(["sh", "-c", words, draft, remote, f"{mode:o}"], deadline)
        if done.returncode:
            self.host.run(["rm", "-f", draft], deadline)
            raise HostRefused(
                f"copying {local.name} failed", evidence=done.stderr.decode(errors="replace")[-300:].strip()
            )

    def fetch(self, remote: str, deadline: Deadline, *, limit: int = 64 << 20) -> bytes:
        """See :class:`ccsight.machines.model.Host`."""
        try:
            done = self.run(["cat", remote], deadline, limit=limit)
        except OutputTooLong:
            raise OutputTooLong(f"{remote} has more than {limit} bytes") from None
        if done.returncode:
            raise HostRefused(
                f"reading {remote} failed", evidence=done.stderr.decode(errors="replace")[-300:].strip()
            )
        return done.stdout
