"""Which suites an archive has: asked for by name over apt's own transport, never assumed."""

import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import ArchiveError
from ccsight.paths import cache_dir
from ccsight.store import explain
from ccsight.toolbox import tools
from ccsight.toolbox.sources import ALIASES, Mirror

_FAILED = re.compile(r"^E: Failed to fetch (\S+)\s+(.*)$", re.MULTILINE)
#: What an archive says of a suite that it does not have; all else means that it could not be asked.
_NOT_THERE = re.compile(r"^(40[34]|410)\b|^File not found")
_CODENAME = re.compile(rb"^Codename: *(\S+)", re.MULTILINE)
_DATE = re.compile(rb"^Date: *([^\r\n]+)", re.MULTILINE)


@dataclass(frozen=True)
class Suite:
    """A suite by the name that was probed; ``codename`` and ``date`` are what it says of itself."""

    uri: str
    name: str
    codename: str
    date: str


@dataclass(frozen=True)
class Suites:
    """The suites that an archive has, in the order of :data:`ALIASES`, and what signs them."""

    all: tuple[Suite, ...]
    signed_by: str

    def only(self, *names: str) -> "Suites":
        """Return those of the given names, in the given order; missing ones are left out."""
        return replace(self, all=tuple(suite for name in names for suite in self.all if suite.name == name))

    def all_names(self) -> set[tuple[str, str]]:
        """Return (URI, name) of each."""
        return {(suite.uri, suite.name) for suite in self.all}

    def without(self, names: Iterable[tuple[str, str]]) -> "Suites":
        """Return the rest, when the (URI, name) given are taken away."""
        drop = set(names)
        return replace(self, all=tuple(suite for suite in self.all if (suite.uri, suite.name) not in drop))


def probe(mirror: Mirror, config: Path, deadline: Deadline) -> Suites:
    """Ask an archive for each suite that could be there, under an apt configuration.

    Raises ArchiveError when the main archive has none of them, or when it or a security archive
    cannot be asked at all: a kernel that is missing because of that would be an old one unnoticed.
    """
    names = [*ALIASES, *([mirror.codename] if mirror.codename else [])]
    wanted = [f"{name}{part}" for part in ("", "-backports") for name in names]
    main = _with_codenames(_ask(mirror.main, wanted, config, deadline), config, deadline)
    if not main:
        raise ArchiveError(
            f"{mirror.main} has no suite of Debian",
            evidence=f"asked for {', '.join(names)}",
            next_step="set CCSIGHT_MIRROR to the URI of a Debian archive, the folder above dists/",
        )
    releases = dict.fromkeys([*names, *(suite.codename for suite in main)])
    security = [f"{name}-security" for name in releases if not name.endswith("-backports")]
    more = _ask(mirror.security, security, config, deadline) if mirror.security else []
    return Suites(tuple(_once([*main, *more])), mirror.signed_by)


def _with_codenames(found: list[Suite], config: Path, deadline: Deadline) -> list[Suite]:
    """Ask for the same suites under their codenames, too: a mirror may be slower to move its aliases."""
    known = {suite.name for suite in found}
    codenames = [suite.codename for suite in found if suite.codename not in known]
    return found + (_ask(found[0].uri, list(dict.fromkeys(codenames)), config, deadline) if codenames else [])


def _once(suites: Iterable[Suite]) -> list[Suite]:
    """Drop the second name of a suite that was found under an alias already.

    Some mirrors keep an older release under the alias than under the codename: then both count.
    """
    first: dict[tuple[str, str, str], Suite] = {}
    for suite in suites:
        first.setdefault((suite.uri, suite.codename, suite.date), suite)
    return list(first.values())


def _ask(uri: str, names: Sequence[str], config: Path, deadline: Deadline) -> list[Suite]:
    """Return the suites of one archive that are there, in the order of the names."""
    try:
        with tempfile.TemporaryDirectory(prefix="probe-", dir=cache_dir() / "apt") as folder:
            places = {name: Path(folder) / name for name in names}
            wanted = [word for name, path in places.items() for word in (_release(uri, name), str(path))]
            argv = [tools.APT_HELPER, "download-file", *wanted]
            done = tools.run(argv, deadline, config=config, expect=None)
            there = {name: path.read_bytes() for name, path in places.items() if path.is_file()}
    except OSError as error:
        raise explain(error, cache_dir()) from error
    problems = dict(_FAILED.findall(done.stderr.decode(errors="replace")))
    silent = {url: why for url, why in problems.items() if not _NOT_THERE.match(why)}
    if silent or (done.returncode and not problems):
        raise ArchiveError(
            f"the package archive {uri} cannot be reached",
            evidence="; ".join(sorted(set(silent.values()))) or tools.complaints(done),
            next_step=tools.REACH,
        )
    return [_suite(uri, name, there[name]) for name in names if there.get(name)]


def _release(uri: str, name: str) -> str:
    return f"{uri}/dists/{name}/InRelease"


def _suite(uri: str, name: str, release: bytes) -> Suite:
    codename, date = _CODENAME.search(release), _DATE.search(release)
    return Suite(
        uri,
        name,
        codename[1].decode(errors="replace") if codename else name,
        date[1].decode(errors="replace") if date else "",
    )
