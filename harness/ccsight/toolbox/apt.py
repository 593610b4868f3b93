"""A private apt state in the cache: signature-checked lists of chosen suites, for any architecture.

The system's apt is not touched and lends only its Acquire settings (proxies, certificates, clocks).
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from ccsight.deadline import Deadline
from ccsight.errors import ArchiveError
from ccsight.paths import cache_dir
from ccsight.store import explain, locked, write_atomically
from ccsight.toolbox import tools
from ccsight.toolbox.packages import Remote
from ccsight.toolbox.sources import Mirror, mirror
from ccsight.toolbox.suites import Suite, Suites, probe

#: Not carried over from the system: what would change the kind of lists, or let unsigned ones pass.
_NOT_CARRIED = re.compile(
    r"Acquire::(IndexTargets|Languages|GzipIndexes|CompressionTypes|Changelogs|PDiffs|\S*Allow\w*(Insecure|Weak))",
    re.IGNORECASE,
)
_UNVERIFIED = re.compile(r"(?:GPG error|signature verification failed): (\S+) (\S+) ")
_KEY_MISSING = re.compile(r"NO_PUBKEY|Missing key", re.IGNORECASE)
_URI_LINE = re.compile(r"'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})")
#: The architecture, in Debian's words, of what is not built yet.
SOURCE = "source"
#: What this process has learnt of an archive, by the cache that it works in.
_ASKED: dict[tuple[Mirror, Path], Suites] = {}


@dataclass(frozen=True)
class View:
    """Some suites for one architecture, as a folder with a configuration of its own.

    The architecture :data:`SOURCE` means the suites' source packages. All views share the downloaded
    lists, so that a suite that two of them have is fetched once.
    """

    architecture: str
    suites: tuple[Suite, ...]
    signed_by: str

    @property
    def folder(self) -> Path:
        """Where the view's configuration and apt's package cache lie."""
        content = repr((self.architecture, self.suites, self.signed_by)).encode()
        return _home() / f"{self.architecture}-{hashlib.sha256(content).hexdigest()[:12]}"

    @property
    def config(self) -> Path:
        """The file that APT_CONFIG names."""
        return self.folder / "apt.conf"


def _home() -> Path:
    return cache_dir() / "apt"


def native_architecture(deadline: Deadline) -> str:
    """Return this system's architecture in Debian's words: ``amd64``, ``arm64``."""
    return tools.run(["dpkg", "--print-architecture"], deadline).text.strip()


def base_config(folder: Path, deadline: Deadline) -> Path:
    """Write and return a configuration with nothing of the system but its Acquire settings."""
    dump = tools.run(["apt-config", "dump"], deadline).text.splitlines()
    carried = [line for line in dump if line.startswith("Acquire::") and not _NOT_CARRIED.match(line)]
    own = [
        'Dir::Etc::main "/dev/null";',
        'Dir::Etc::parts "/dev/null";',
        'Dir::Etc::sourceparts "/dev/null";',
        'Dir::Etc::preferences "/dev/null";',
        'Dir::Etc::preferencesparts "/dev/null";',
        f'Dir::Etc::sourcelist "{folder}/ccsight.sources";',
        f'Dir::State "{folder}";',
        f'Dir::State::status "{folder}/status";',
        f'Dir::State::lists "{_home()}/lists";',
        f'Dir::Cache "{folder}";',
        'Dir::Cache::pkgcache "";',  # twice the size of the lists, for questions that are asked once
        'Dir::Cache::srcpkgcache "";',
        'Acquire::Languages "none";',
        'Acquire::GzipIndexes "true";',
        'Acquire::ForceHash "SHA256";',
        'Acquire::AllowReleaseInfoChange "true";',  # an alias such as stable moves on
        # The cache may lie where apt's own user cannot look; signatures and hashes are checked anyway.
        'APT::Sandbox::User "root";',
        'APT::Get::List-Cleanup "false";',  # the lists of other views lie there, too
        'APT::Install-Recommends "false";',
        'APT::Update::Error-Mode "any";',  # otherwise a suite that failed is only a warning
    ]
    path = folder / "apt.conf"
    write_atomically(path, "\n".join([*carried, *own, ""]).encode())
    return path


def available(deadline: Deadline, report: tools.Report) -> Suites:
    """Return the suites that the archive has, asked once a process. Raises ArchiveError when it cannot be."""
    found = mirror(deadline)
    folder = _home() / "probe"
    if (found, folder) not in _ASKED:
        report(f"asking {found.main} for its suites")
        with locked(folder, deadline):
            _make(folder)
            _ASKED[found, folder] = probe(found, base_config(folder, deadline), deadline)
    return _ASKED[found, folder]


def update(suites: Suites, architecture: str, deadline: Deadline, report: tools.Report) -> View:
    """Bring the lists of some suites up to date and return the view of those that are signed.

    A suite whose key the keyring lacks (an old system, a new suite) is left out and reported.
    Raises ArchiveError when a signature is wrong, a list cannot be had, or no suite is left.
    """
    left = suites
    while left.all:
        view = View(architecture, left.all, left.signed_by)
        report(f"package lists ({architecture}) of {', '.join(suite.name for suite in left.all)}")
        with locked(_home() / "lists", deadline):
            _prepare(view, deadline)
            done = tools.run(["apt-get", "update", "-q"], deadline, config=view.config, expect=None)
        if done.returncode == 0:
            return view
        said = done.stderr.decode(errors="replace")
        strange = _without_key(said)
        if not strange.intersection(left.all_names()):
            raise _no_update(tools.complaints(done))
        report(f"left out, signed with a key that is not in the keyring: {', '.join(n for _, n in strange)}")
        left = left.without(strange)
    raise _no_update(f"no suite is signed with a key of {suites.signed_by or 'the keyring'}")


def lists(view: View, deadline: Deadline) -> list[tuple[Suite, Path]]:
    """Return the package list of each suite of a view that has been updated."""
    form = "$(REPO_URI)\t$(RELEASE)\t$(FILENAME)"
    kind = "Sources" if view.architecture == SOURCE else "Packages"
    argv = ["apt-get", "indextargets", "--format", form, f"Created-By: {kind}"]
    said = tools.run(argv, deadline, config=view.config).text
    files = {(uri.rstrip("/"), name): Path(path) for uri, name, path in map(str.split, said.splitlines())}
    known = [(suite, files.get((suite.uri, suite.name))) for suite in view.suites]
    return [(suite, path) for suite, path in known if path is not None and path.exists()]


def closure(view: View, packages: Sequence[str], suite: Suite, deadline: Deadline) -> tuple[Remote, ...]:
    """Return packages with all that they depend on, as an empty system would get them from ``suite``."""
    argv = ["apt-get", "install", "--print-uris", "-qq", "-y", "--no-install-recommends", "-t", suite.name]
    with locked(_home() / "lists", deadline):
        said = tools.run([*argv, *packages], deadline, config=view.config).text
    found = tuple(_remote(match) for line in said.splitlines() if (match := _URI_LINE.match(line)))
    missing = set(packages) - {remote.package for remote in found}
    if missing:
        raise ArchiveError(f"apt would not install {', '.join(sorted(missing))}", evidence=said[-300:])
    return found


def _prepare(view: View, deadline: Deadline) -> None:
    _make(view.folder, _home() / "lists" / "partial", view.folder / "archives" / "partial")
    write_atomically(view.folder / "status", b"")
    write_atomically(view.folder / "ccsight.sources", _sources(view).encode())
    base = base_config(view.folder, deadline)
    if view.architecture == SOURCE:
        return
    one = f'APT::Architecture "{view.architecture}";\nAPT::Architectures {{"{view.architecture}";}};\n'
    write_atomically(base, base.read_bytes() + one.encode())


def _make(*folders: Path) -> None:
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, folders[0]) from error


def _sources(view: View) -> str:
    """Write sources in apt's deb822 format, where a Signed-By may be a whole key."""
    signed_by = f"Signed-By: {view.signed_by}\n" if view.signed_by else ""
    kind = "deb-src" if view.architecture == SOURCE else "deb"
    return "\n".join(
        f"Types: {kind}\nURIs: {suite.uri}\nSuites: {suite.name}\nComponents: main\n{signed_by}"
        for suite in view.suites
    )


def _without_key(said: str) -> set[tuple[str, str]]:
    """Return (URI, suite) of what apt refuses only because it lacks the key."""
    lines = [line for line in said.splitlines() if _KEY_MISSING.search(line)]
    found = (_UNVERIFIED.search(line) for line in lines)
    return {(match[1].rstrip("/"), match[2]) for match in found if match}


def _remote(match: re.Match[str]) -> Remote:
    package, version, _ = match["file"].split("_", 2)
    return Remote(package, unquote(version), unquote(match["uri"]), int(match["size"]), match["sha256"])


def _no_update(evidence: str) -> ArchiveError:
    return ArchiveError(
        "the lists of the package archive cannot be brought up to date",
        evidence=evidence,
        next_step=tools.REACH,
    )
