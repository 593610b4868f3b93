"""Which Debian archive to use: the one that this system is configured for, or the one that it is told.

Reads the system's apt configuration and changes nothing of it.
"""

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ccsight.deadline import Deadline
from ccsight.errors import ArchiveError
from ccsight.toolbox import stanzas, tools

ALIASES = ("stable", "oldstable", "oldoldstable", "testing", "unstable", "experimental")
#: What says "Debian's own" where several archives have suites of the same name.
_KEYRING = "debian-archive-keyring"
_KEYRINGS = tuple(Path("/usr/share/keyrings") / f"{_KEYRING}.{suffix}" for suffix in ("gpg", "pgp"))
_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<parts>.*)")
_VARIABLES = ("CCSIGHT_MIRROR", "CCSIGHT_SECURITY_MIRROR", "CCSIGHT_KEYRING")


@dataclass(frozen=True)
class Mirror:
    """An archive: ``main`` and ``security`` are URIs (security may be ""); ``codename`` is this system's.

    ``signed_by`` is what apt's Signed-By takes (a path, fingerprints, or a key); "" leaves it to
    apt's trusted keys.
    """

    main: str
    security: str
    signed_by: str
    codename: str


@dataclass(frozen=True)
class _Entry:
    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str


def origin() -> str:
    """Return what the environment says of the archive; what was fetched under another one is not reused."""
    return " ".join(f"{name}={os.environ[name]}" for name in _VARIABLES if os.environ.get(name))


def mirror(deadline: Deadline) -> Mirror:
    """Return the archive to use. Raises ArchiveError when the system names none and nobody else does."""
    main, security, keyring = (os.environ.get(name, "") for name in _VARIABLES)
    codename = _codename()
    if main:
        return Mirror(main.rstrip("/"), security.rstrip("/"), keyring or _default_keyring(), codename)
    known = {*ALIASES, "sid", codename} - {""}
    entries = sorted(_entries(deadline), key=_rank)
    mains = [entry for entry in entries if known.intersection(entry.suites)]
    if not mains:
        raise ArchiveError(
            "this system's apt configuration names no Debian archive",
            evidence=f"it names {', '.join(sorted({entry.uri for entry in entries})) or 'nothing'}",
            next_step="set CCSIGHT_MIRROR=URI and CCSIGHT_KEYRING=FILE (CCSIGHT_SECURITY_MIRROR=URI, too)",
        )
    # A system of testing or unstable lists no security archive; most mirrors have it beside the main one.
    securities = [entry.uri for entry in entries if any(_is_security(suite) for suite in entry.suites)]
    beside = f"{mains[0].uri}-security"
    return Mirror(
        mains[0].uri,
        security.rstrip("/") or next(iter(securities), beside),
        keyring or mains[0].signed_by or _default_keyring(),
        codename,
    )


def _is_security(suite: str) -> bool:
    return suite.endswith(("-security", "/updates"))


def _rank(entry: _Entry) -> int:
    """Put Debian's own archive before others that have a suite of the same name and ``main``."""
    if _KEYRING in entry.signed_by:
        return 0
    return 1 if not entry.signed_by else 2


def _default_keyring() -> str:
    return next((str(path) for path in _KEYRINGS if path.exists()), "")


def _codename() -> str:
    """Return the codename of a Debian system, "" on any other."""
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return ""
    fields = dict(part for line in lines if len(part := line.split("=", 1)) == 2)
    return (
        fields.get("VERSION_CODENAME", "").strip('"') if fields.get("ID", "").strip('"') == "debian" else ""
    )


def _entries(deadline: Deadline) -> Iterator[_Entry]:
    """Yield the binary sources with a ``main`` of the system's apt configuration, in its order."""
    wanted = ("LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d")
    said = tools.run(["apt-config", "shell", *wanted], deadline).text
    places = dict(word.split("=", 1) for word in shlex.split(said))
    files = [Path(places.get("LIST", "/dev/null"))]
    files += sorted(Path(places.get("PARTS", "/dev/null")).glob("*"))
    for path in files:
        read = {".sources": _deb822, ".list": _one_line}.get(path.suffix)
        if read and path.is_file():
            found = read(path.read_text(errors="replace"))
            yield from (entry for entry in found if "main" in entry.components and entry.uri)


def _deb822(text: str) -> Iterator[_Entry]:
    for fields in stanzas.paragraphs(text):
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() != "no":
            suites, components = (tuple(fields.get(key, "").split()) for key in ("suites", "components"))
            for uri in fields.get("uris", "").split():
                yield _Entry(_plain(uri), suites, components, fields.get("signed-by", "").strip())


def _one_line(text: str) -> Iterator[_Entry]:
    for line in text.splitlines():
        if match := _ONE_LINE.fullmatch(line.partition("#")[0].strip()):
            options = dict(
                part for word in (match["options"] or "").split() if len(part := word.split("=", 1)) == 2
            )
            components = tuple(match["parts"].split())
            yield _Entry(_plain(match["uri"]), (match["suite"],), components, options.get("signed-by", ""))


def _plain(uri: str) -> str:
    """Return an archive's URI without the final slash; of a list of mirrors the first; "" if unusable."""
    method, _, rest = uri.partition(":")
    if method == "mirror+file":  # as cloud images have it; packages are fetched by name, so name one
        try:
            lines = Path(rest).read_text().split("\n")
        except OSError:
            return ""
        return next((line.split()[0].rstrip("/") for line in lines if line.strip() and line[0] != "#"), "")
    return uri.rstrip("/") if urlsplit(uri).scheme in ("http", "https", "file", "copy", "ftp") else ""
