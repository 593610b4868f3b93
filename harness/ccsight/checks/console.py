"""CR-017: what the host's kernel printed while it was observed."""

import re
from collections.abc import Iterator

from ccsight.checks.registry import NotObserved, law
from ccsight.evidence.cases import Finding
from ccsight.evidence.model import Capture
from ccsight.kvm.splats import excuse

#: Words of a command line with which a console shows no WARN: those are printed at level 4.
_HUSHED = re.compile(r"(?:^|\s)(quiet|loglevel=[0-4])(?=\s|$)")
#: Lines of a splat that a finding has; the console has the rest.
_SAID = 3


@law(
    "CR-017",
    "the host's console shows no oops, WARN or sanitizer splat",
    "a kernel shows the right values while it corrupts its memory, or its locks",
)
def console_is_clean(capture: Capture) -> Iterator[Finding]:
    """Every splat in the console, from the first line of the boot to the end of the last program."""
    console = capture.console
    if console is None:
        raise NotObserved("the console was not looked at: the capture is older than this law")
    if not console.lines:
        raise NotObserved(f"{console.file} is empty: nothing proves that the kernel had a console")
    word = hushed(capture)
    if word:
        raise NotObserved(f"the console does not show warnings: {word} on the kernel's command line")
    held_against = False
    for splat in console.splats:
        known = excuse(splat, capture.machine.substrate)
        held_against = held_against or not known
        yield Finding(
            subject=splat.kind,
            where=f"{console.file}:{splat.line}",
            said=" / ".join(splat.text[:_SAID]),
            known=known,
        )
    if not (console.whole or held_against):
        raise NotObserved(f"a part of {console.file} was not heard: what a splat there would be is unknown")


def hushed(capture: Capture) -> str:
    """Return the word of the kernel's command line that keeps warnings off its console, or ""."""
    found = _HUSHED.search(capture.machine.command_line)
    return found[1] if found else ""
