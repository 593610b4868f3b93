"""What a bundle says of itself: a run's files by name, size and hash, and one hash over all that.

The root hash is of a text that anybody can write down again (:func:`root_of`); it is what is signed. How
the files are packed does not change it.
"""

import hashlib
import re
from collections.abc import Iterable

from ccsight.evidence.record import Record

#: Raised with every change of the types below.
BUNDLE_SCHEMA = 1
#: The members that are not a run's: what the bundle says of itself, and the signature of its root hash.
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
#: The one file that no run is without.
PLAN = "run.json"
#: The policy that a run is to be held against, where one was given.
POLICY = "policy.toml"

_WORD = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}"
#: The names that a run's files have, and no others: neither can one leave the folder, nor hide in it.
_NAMES = (
    re.escape(PLAN),
    r"cases\.jsonl",
    rf"captures/{_WORD}/(?:[0-9]{{1,6}}|restore)/{_WORD}\.(?:json|stream|state)",
    rf"consoles/{_WORD}\.log",
    r"kernels/[0-9a-f]{64}\.config",
    re.escape(POLICY),
)
_NAME = re.compile("|".join(_NAMES))
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~+%:-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Member(Record, frozen=True):
    """A file of a run: its name within the run's folder, its size in bytes, and its hash."""

    name: str
    size: int
    sha256: str


class Manifest(Record, frozen=True):
    """The content of manifest.json. ``ccsight`` is the version that packed; ``members`` go by name."""

    schema: int
    run: str
    ccsight: str
    members: tuple[Member, ...]
    root: str


def belongs(name: str) -> bool:
    """Tell whether a run can have a file of this name."""
    return _NAME.fullmatch(name) is not None


def names_a_run(text: str) -> bool:
    """Tell whether a run's id is fit for a folder."""
    return _RUN.fullmatch(text) is not None


def manifest_of(run: str, ccsight: str, members: Iterable[Member]) -> Manifest:
    """Return the manifest of a run's files."""
    rows = tuple(sorted(members, key=lambda member: member.name))
    root = root_of(run, ccsight, rows)
    return Manifest(schema=BUNDLE_SCHEMA, run=run, ccsight=ccsight, members=rows, root=root)


def root_of(run: str, ccsight: str, members: tuple[Member, ...]) -> str:
    """Return the SHA-256 of three lines about the bundle and one about each member, sorted by name."""
    lines = [f"ccsight bundle {BUNDLE_SCHEMA}", f"run {run}", f"ccsight {ccsight}"]
    lines += [f"{member.sha256} {member.size} {member.name}" for member in members]
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def odd(manifest: Manifest) -> str:
    """Say what in a manifest contradicts itself or cannot be of a run, "" where all is well."""
    if not names_a_run(manifest.run):
        return f"no run is called {manifest.run!r}"
    if not all(_SHA256.fullmatch(member.sha256) and member.size >= 0 for member in manifest.members):
        return "it has hashes or sizes that are none"
    if manifest != manifest_of(manifest.run, manifest.ccsight, manifest.members):
        return "its root hash is not that of its lines"
    return ""
