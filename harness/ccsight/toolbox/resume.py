"""Makes apt go on with a file whose download was killed, instead of beginning anew.

apt's http method asks for the rest of a file only "if it is still of this date" (If-Range), and takes
the date from the partial file, which it sets when it ends in order. After a kill, the date is wrong;
so ask the server for it. A server that gives no date, or another one, sends the whole file: slower,
never wrong, because the hash is checked at the end.
"""

import os
import re
import selectors
from email.utils import parsedate_to_datetime
from pathlib import Path

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.toolbox.tools import APT_HELPER

#: Below this, asking costs more than fetching it again.
WORTH_IT = 1 << 20
#: The answer that carries the file, after any redirections; its header fields.
_ANSWER = re.compile(rb"^HTTP/\S+ 200\b[^\n]*\n((?:[^\r\n]+\r?\n)*)\r?\n", re.MULTILINE)
_DATE = re.compile(rb"^Last-Modified: *([^\r\n]+)", re.MULTILINE | re.IGNORECASE)


def prepare(partial: Path, uri: str, config: Path, deadline: Deadline) -> None:
    """Give a partial file the date that the server's has, if there is one worth keeping."""
    if not partial.exists():
        return
    date = _date(uri, partial, config, deadline) if partial.stat().st_size >= WORTH_IT else None
    if date is None:
        partial.unlink()
    else:
        os.utime(partial, (date, date))


def _date(uri: str, partial: Path, config: Path, deadline: Deadline) -> float | None:
    """Begin to fetch a file over apt's transport, and hang up as soon as the date is known."""
    scratch = partial.with_suffix(".asked")
    debug = ["-o", "Debug::Acquire::http=true", "-o", "Debug::Acquire::https=true"]
    child = process.spawn(
        [APT_HELPER, *debug, "download-file", uri, str(scratch)],
        process.Streams(stderr=process.PIPE),
        env={"APT_CONFIG": str(config), "LC_ALL": "C"},
    )
    try:
        found = _DATE.search(_fields(child, deadline.within(20)))
        return parsedate_to_datetime(found[1].decode(errors="replace")).timestamp() if found else None
    except ValueError:  # not a date
        return None
    finally:
        process.end(child)
        if child.stderr:
            child.stderr.close()
        scratch.unlink(missing_ok=True)


def _fields(child: process.Child, deadline: Deadline) -> bytes:
    """Return the header fields of the answer that apt is given, b"" when there is none in time."""
    said = b""
    if child.stderr is None:
        return b""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stderr, selectors.EVENT_READ)
        while selector.select(deadline.remaining):
            chunk = os.read(child.stderr.fileno(), 1 << 16)
            said += chunk
            match = _ANSWER.search(said)
            if match or not chunk:
                return match[1] if match else b""
    return b""
