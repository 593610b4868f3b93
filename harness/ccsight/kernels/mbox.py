"""Patches as people send them: a diff, ``git format-patch`` output, a mail, an mbox with a series. No git."""

import email
import email.header
import email.policy
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path

from ccsight.errors import UsageError, reason

_LIMIT = 64 << 20
_WANTED = "patch=FILE takes a unified diff, git format-patch output, or an mbox with a series"
#: As git mailsplit knows it: what begins a message of an mbox.
_FROM = re.compile(rb"(?m)^From \S+.*\d\d:\d\d(?::\d\d)?.* \d{4}.*$")
_QUOTED_FROM = re.compile(rb"(?m)^>(>*From )")
_MAIL = re.compile(rb"(?:From |[A-Za-z][A-Za-z0-9-]*: )")
_HEADED = re.compile(rb"(?mi)^(?:Subject|From|Date|Message-ID): ")
#: As git mailinfo knows it: what ends the description.
_DIFF = re.compile(rb"(?m)^(?:diff --git \S|diff -|Index: \S|--- \S[^\n]*\n\+\+\+ \S)")
_HUNK = re.compile(rb"(?m)^(?:@@ -\d|rename from |copy from |old mode |new file mode |deleted file mode )")
_BINARY = re.compile(rb"(?m)^(?:GIT binary patch|Binary files .* differ)$")
_COUNTS = re.compile(rb"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
#: The lines of a diff outside of its hunks.
_HEADER = re.compile(
    rb"diff |index |--- |\+\+\+ |old mode|new mode|new file|deleted|rename |copy |similarity|dissimilarity"
    rb"|\\|GIT |Binary "
)
_TAG = re.compile(r"\[(?P<inside>[^\]]*\bPATCH\b[^\]]*)\]", re.IGNORECASE)
_NUMBER = re.compile(r"\b(\d+)/(\d+)\b")
_VERSION = re.compile(r"\bv(\d+)\b", re.IGNORECASE)
_REPLY = re.compile(r"\s*(?:re|aw|sv|fwd?)\s*:", re.IGNORECASE)


@dataclass(frozen=True)
class Patch:
    """One patch: ``diff`` is what is applied, ``number`` of ``total`` its place in a series, else 0 of 0."""

    subject: str
    diff: bytes = field(repr=False)
    number: int = 0
    total: int = 0
    version: int = 1

    @property
    def sha256(self) -> str:
        """The hash of the diff, which leaves out who sent it when."""
        return hashlib.sha256(self.diff).hexdigest()

    @property
    def title(self) -> str:
        """The subject for people, with its place in the series."""
        return f"[{self.number}/{self.total}] {self.subject}" if self.total else self.subject


@dataclass(frozen=True)
class Patchset:
    """The patches of one file, in the order in which they apply."""

    path: Path
    patches: tuple[Patch, ...]


def read(path: Path) -> Patchset:
    """Read a file of patches; cover letters and replies are left out.

    Raises UsageError for a file without a patch, a binary patch, a series that is incomplete, and one
    that the file has in several versions.
    """
    try:
        content = path.read_bytes() if path.stat().st_size <= _LIMIT else b""
    except OSError as error:
        raise UsageError(
            f"the patch {path} cannot be read", evidence=reason(error), next_step=_WANTED
        ) from error
    patches = [*_found(content, path)]
    if not patches:
        raise UsageError(
            f"{path} holds no patch",
            evidence="it is empty" if not content.strip() else "nothing in it begins as a unified diff does",
            next_step=_WANTED,
        )
    for patch in patches:
        if _BINARY.search(patch.diff):
            raise UsageError(
                f"{path} holds a binary patch",
                evidence=patch.title,
                next_step="give the source's part as a diff",
            )
    return Patchset(path, _in_order(patches, path))


def _found(content: bytes, path: Path) -> Iterator[Patch]:
    if not _is_mail(content):
        if diff := _diff(content):
            yield Patch(path.name, diff)
        return
    for text in _messages(content):
        message = email.message_from_bytes(text, policy=email.policy.compat32)
        subject = _subject(message)
        diff = b"".join(_diff(part) for part in _texts(message))
        if diff and not _REPLY.match(subject):
            patch = _patch(subject, diff)
            if patch.number or not patch.total:
                yield patch


def _is_mail(content: bytes) -> bool:
    """Return whether a file begins with a header, as mails do and a diff, even a commented one, does not."""
    head = content.lstrip()[:16384]
    start = _DIFF.search(head)
    headers = _HEADED.search(head, 0, start.start() if start else len(head))
    return bool(_MAIL.match(head) and headers)


def _messages(content: bytes) -> Iterator[bytes]:
    starts = [match.start() for match in _FROM.finditer(content)]
    starts = [at for at in starts if at == 0 or content[:at].endswith((b"\n\n", b"\r\n\r\n"))]
    if not starts:
        yield content.lstrip()
        return
    for start, end in zip(starts, [*starts[1:], len(content)], strict=True):
        message = content[content.index(b"\n", start) + 1 : end] if b"\n" in content[start:end] else b""
        yield _QUOTED_FROM.sub(rb"\1", message)


def _texts(message: Message) -> Iterator[bytes]:
    """Yield the decoded text of a mail and its attachments, in order, with line endings of the tree's."""
    for part in message.walk():
        text = part.get_payload(decode=True)
        if part.get_content_maintype() in ("text", "application") and isinstance(text, bytes):
            yield text.replace(b"\r\n", b"\n")


def _diff(text: bytes) -> bytes:
    """Return the diff in a text, b"" when there is none."""
    start = _DIFF.search(text)
    if not start:
        return b""
    diff = _without_signature(text[start.start() :])
    return diff if _HUNK.search(diff) or _BINARY.search(diff) else b""


def _without_signature(text: bytes) -> bytes:
    """Cut off what follows the last hunk, by the counts in its first line."""
    lines = [line + b"\n" for line in text.split(b"\n")]
    end, old, new = 0, 0, 0
    for number, line in enumerate(lines, 1):
        if old > 0 or new > 0:  # an empty line is an unchanged one whose blank a mailer has dropped
            old -= line[:1] in b" -\n"
            new -= line[:1] in b" +\n"
        elif match := _COUNTS.match(line):
            old, new = (int(count or 1) for count in match.groups())
        elif not _HEADER.match(line):
            continue
        end = number
    if old > 0 or new > 0:  # it was cut off, which git is to see
        end -= text.endswith(b"\n")
    return b"".join(lines[:end])


def _subject(message: Message) -> str:
    parts = email.header.decode_header(message.get("Subject", ""))
    words = (
        text if isinstance(text, str) else text.decode(code or "utf-8", "replace") for text, code in parts
    )
    return " ".join("".join(words).split())


def _patch(subject: str, diff: bytes) -> Patch:
    tag = _TAG.search(subject)
    if not tag:
        return Patch(subject or "(no subject)", diff)
    number, version = _NUMBER.search(tag["inside"]), _VERSION.search(tag["inside"])
    return Patch(
        subject[tag.end() :].strip() or "(no subject)",
        diff,
        number=int(number[1]) if number else 0,
        total=int(number[2]) if number else 0,
        version=int(version[1]) if version else 1,
    )


def _in_order(patches: Sequence[Patch], path: Path) -> tuple[Patch, ...]:
    """Put a series in the order of its numbers; patches without numbers stay as they lie."""
    kept = list(dict.fromkeys(patches))  # a list's archive may hold a mail twice
    versions = sorted({patch.version for patch in kept})
    series = sorted({patch.total for patch in kept})
    if len(versions) > 1:
        raise _several(path, "versions of a series", [f"v{version}" for version in versions])
    if len(series) > 1:
        raise _several(path, "series", [f"of {total}" if total else "without numbers" for total in series])
    total = series[0]
    if not total:
        return tuple(kept)
    numbers = [patch.number for patch in kept]
    if twice := sorted({number for number in numbers if numbers.count(number) > 1}):
        raise _several(path, "patches of one number", [f"{number}/{total}" for number in twice])
    missing = [f"{number}/{total}" for number in range(1, total + 1) if number not in numbers]
    if missing and len(kept) > 1:  # one alone may be meant: git format-patch numbers each file
        raise UsageError(
            f"{path} holds a series that lacks {', '.join(missing)}",
            evidence="; ".join(patch.title for patch in kept[:8]),
            next_step="fetch the whole series, or give each file with a patch= of its own",
        )
    return tuple(sorted(kept, key=lambda patch: patch.number))


def _several(path: Path, what: str, found: Sequence[str]) -> UsageError:
    return UsageError(
        f"{path} holds several {what}: {', '.join(found)}",
        next_step="keep the messages of one in the file",
    )
