"""Policies that come with runs: a bundle may carry what it is to be held against."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from ccsight.errors import EvidenceError, UsageError, reason
from ccsight.evidence.bundle import located, shown
from ccsight.evidence.manifest import POLICY
from ccsight.gate.load import folders


def carried(names: Iterable[str], results: Path) -> Path | None:
    """Return the policy that runs bring along, as people name it, None where there is none.

    Raises UsageError where they bring different ones, and as ``load``.
    """
    found = dict(_policies(names, results))
    if len(set(found.values())) > 1:
        raise UsageError(
            "the runs carry different policies",
            evidence=", ".join(map(str, found)),
            next_step="say which one counts: --policy FILE, such as --policy RUN.zip/policy.toml",
        )
    return next(iter(found), None)


def remarks(names: Iterable[str], results: Path, file: Path) -> Iterator[str]:
    """Yield what is to be said of the policy that counts: it came with a run, or runs came with others."""
    content = located(file).read_bytes()
    for path, other in _policies(names, results):
        if path == file:
            yield f"the policy is the one that came with the run: {path}"
        elif other != content:
            yield f"the policy is {file}; {path} is another one, and does not count"


def _policies(names: Iterable[str], results: Path) -> Iterator[tuple[Path, bytes]]:
    for path in (folder / POLICY for folder in folders(names, results)):
        try:
            yield shown(path), path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise EvidenceError(f"{shown(path)} cannot be read", evidence=reason(error)) from error
