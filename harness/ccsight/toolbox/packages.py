"""Single packages: downloaded once, whatever the number of processes, proved by SHA-256, unpacked."""

import hashlib
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ccsight.deadline import Deadline
from ccsight.errors import ArchiveError
from ccsight.paths import cache_dir
from ccsight.store import explain, locked
from ccsight.toolbox import resume, tools

_MISMATCH = re.compile(r"Hash Sum mismatch|unexpected size|corrupted package", re.IGNORECASE)
_FAILED = re.compile(r"^E: Failed to fetch (\S+)\s+(.*(?:\n(?![EW]: ).*)*)", re.MULTILINE)
_GONE = re.compile(r"\b(404|410)\b|File not found")


class PackageGone(ArchiveError):
    """The archive does not have a file any more that its lists named: the lists are old."""


@dataclass(frozen=True)
class Remote:
    """A package as a signed list describes it. ``uri`` is not quoted; ``size`` is in bytes."""

    package: str
    version: str
    uri: str
    size: int
    sha256: str


def fetch(remotes: Sequence[Remote], config: Path, deadline: Deadline, report: tools.Report) -> list[Path]:
    """Return the packages as verified local files, downloading those that are not there.

    A download that was cut off goes on where it ended. The files may be dropped once unpacked (see
    :func:`drop`). Raises PackageGone when the archive has lost one, ArchiveError or NoSpace.
    """
    places = [_place(remote) for remote in remotes]
    with ExitStack() as held:
        for place in sorted(set(places)):  # in one order, so that two runs cannot wait for each other
            held.enter_context(locked(place, deadline))
        missing = [remote for remote in remotes if not _there(remote)]
        for remote in missing:
            report(f"{remote.package} {tools.megabytes(remote.size)}")
        if missing:
            for remote in missing:
                resume.prepare(_draft(remote), _quoted(remote), config, deadline)
            _download(missing, config, deadline)
        for remote in missing:
            _verify(remote)
            _draft(remote).rename(_place(remote))
    return places


def _place(remote: Remote) -> Path:
    return cache_dir() / "packages" / f"{remote.sha256}.deb"


def _draft(remote: Remote) -> Path:
    return _place(remote).with_suffix(".partial")


def _there(remote: Remote) -> bool:
    """Return whether a package is there; one that a killed run had fetched whole is taken over."""
    draft = _draft(remote)
    if draft.exists() and draft.stat().st_size == remote.size and _sha256(draft) == remote.sha256:
        draft.rename(_place(remote))
    return _place(remote).exists()


def _download(missing: Sequence[Remote], config: Path, deadline: Deadline) -> None:
    """Get all in one go, over one connection. Raises for the first that cannot be had or is wrong."""
    argv = [tools.APT_HELPER, "download-file"]
    for remote in missing:
        argv += [_quoted(remote), str(_draft(remote)), f"SHA256:{remote.sha256}"]
    done = tools.run(argv, deadline, config=config, cwd=_place(missing[0]).parent, expect=None)
    if done.returncode == 0:
        return
    said = done.stderr.decode(errors="replace")
    reasons = {uri: " ".join(why.split()) for uri, why in _FAILED.findall(said)}
    for remote in missing:
        aside = _draft(remote).with_name(f"{_draft(remote).name}.FAILED")
        if aside.exists():  # where apt puts what it refuses
            aside.rename(_draft(remote))
            _verify(remote)
        why = reasons.get(_quoted(remote), "")
        if why:
            raise _wrong(remote, why) if _MISMATCH.search(why) else _not_had(remote, why)
    raise _not_had(missing[0], tools.complaints(done))


def _quoted(remote: Remote) -> str:
    return quote(remote.uri, safe=":/+~@?&=")


def _not_had(remote: Remote, why: str) -> ArchiveError:
    what = f"{remote.package} {remote.version}"
    if _GONE.search(why):
        fact = f"the archive lists {what}, but does not have it"
        return PackageGone(fact, evidence=why, next_step="name another version: ccsight kernels --refresh")
    return ArchiveError(f"{what} cannot be downloaded", evidence=why, next_step=tools.REACH)


def _verify(remote: Remote) -> None:
    """Compare with the signed list once more; a file that does not match is removed."""
    path = _draft(remote)
    got = _sha256(path)
    if got != remote.sha256:
        path.unlink()
        raise _wrong(remote, f"its SHA256 is {got}, the signed list says {remote.sha256}")


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise explain(error, path.parent) from error


def _wrong(remote: Remote, evidence: str) -> ArchiveError:
    return ArchiveError(
        f"{remote.package} {remote.version} is not what the archive signed",
        evidence=evidence,
        next_step="try again; if it stays, the mirror or a proxy on the way is broken",
    )


def unpack(package: Path, folder: Path, deadline: Deadline) -> None:
    """Unpack the files of a package below a folder; nothing of it is run."""
    tools.run(["dpkg-deb", "-x", str(package), str(folder)], deadline, cwd=folder)


def drop(packages: Sequence[Path]) -> None:
    """Remove downloaded packages that have been unpacked."""
    for path in packages:
        path.unlink(missing_ok=True)
