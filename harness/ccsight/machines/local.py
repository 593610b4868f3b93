"""This very system as a host: for an arm64 machine that ccsight runs on, and for tests."""

import os
from collections.abc import Sequence
from pathlib import Path

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import InfraError, ToolMissing, reason
from ccsight.process import Completed, OutputTooLong

_NOT_FOUND = 127  # what a shell says


class LocalHost:
    """Runs commands and copies files here. Exit statuses read as a shell's: 128 + N for signal N."""

    def run(self, argv: Sequence[str], deadline: Deadline, *, limit: int = 64 << 20) -> Completed:
        """See :class:`ccsight.machines.model.Host`."""
        try:
            done = process.run(argv, deadline, expect=None, limit=limit)
        except ToolMissing as error:
            return Completed(tuple(argv), _NOT_FOUND, b"", str(error).encode())
        status = done.returncode if done.returncode >= 0 else 128 - done.returncode
        return Completed(done.argv, status, done.stdout, done.stderr)

    def push(self, local: Path, remote: str, deadline: Deadline, *, mode: int = 0o755) -> None:
        """See :class:`ccsight.machines.model.Host`."""
        target = Path(remote)
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            draft.write_bytes(local.read_bytes())
            draft.chmod(mode)
            draft.replace(target)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise InfraError(f"copying {local.name} to {remote} failed", evidence=reason(error)) from error
        deadline.check(f"copying {local.name}")

    def fetch(self, remote: str, deadline: Deadline, *, limit: int = 64 << 20) -> bytes:
        """See :class:`ccsight.machines.model.Host`."""
        try:
            with Path(remote).open("rb") as source:
                content = source.read(limit + 1)
        except OSError as error:
            raise InfraError(f"reading {remote} failed", evidence=reason(error)) from error
        if len(content) > limit:
            raise OutputTooLong(f"{remote} has more than {limit} bytes")
        deadline.check(f"reading {remote}")
        return content
