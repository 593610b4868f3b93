"""The grammar that kernel and machine specs share: ``KIND:VALUE[,KEY=VALUE]…``, as QEMU writes options.

A kind of which there is only one stands alone, without a value. A comma inside a value is doubled.
Options keep their order and may repeat.
"""

from collections.abc import Collection
from dataclasses import dataclass

from ccsight.arm64.suggest import nearest
from ccsight.errors import UsageError


@dataclass(frozen=True)
class Spec:
    """A parsed spec. ``text`` is what the user wrote, and names the thing everywhere."""

    text: str
    kind: str
    value: str
    options: tuple[tuple[str, str], ...]

    def option(self, key: str) -> str | None:
        """Return the last value given for a key, or None."""
        return next((value for name, value in reversed(self.options) if name == key), None)

    def all(self, key: str) -> tuple[str, ...]:
        """Return every value given for a key, in order."""
        return tuple(value for name, value in self.options if name == key)


def parse(text: str, kinds: dict[str, frozenset[str]], what: str, alone: Collection[str] = ()) -> Spec:
    """Parse a spec. ``kinds`` maps each known kind to the option keys it takes; ``alone`` ones have no value.

    Raises UsageError naming the nearest kind or key.
    """
    first, *rest = _split(text)
    kind, colon, value = first.partition(":")
    if kind not in kinds or bool(colon) == (kind in alone):
        forms = (known if known in alone else f"{known}:…" for known in kinds)
        raise UsageError(
            f"{text!r} is not a {what}",
            evidence=nearest(kind, kinds),
            next_step=f"write it as {' or '.join(forms)}",
        )
    if colon and not value:
        raise UsageError(f"{text!r} lacks what comes after {kind!r}", next_step=f"{kind}:…")
    options = tuple(_option(part, kind, kinds[kind], text) for part in rest)
    return Spec(text, kind, value, options)


def _split(text: str) -> list[str]:
    return [part.replace("\0", ",") for part in text.replace(",,", "\0").split(",")]


def _option(part: str, kind: str, keys: frozenset[str], text: str) -> tuple[str, str]:
    key, equals, value = part.partition("=")
    if key not in keys or not equals:
        known = nearest(key, sorted(keys)) if keys else f"{kind}: takes none"
        raise UsageError(
            f"{part!r} is not an option of {kind}: in {text!r}",
            evidence=known,
            next_step="options are KEY=VALUE; a comma inside a value is doubled",
        )
    return key, value


def render(kind: str, value: str, options: tuple[tuple[str, str], ...]) -> str:
    """Return the text of a spec; the inverse of :func:`parse`."""
    parts = [f"{kind}:{value}" if value else kind, *(f"{key}={text}" for key, text in options)]
    return ",".join(part.replace(",", ",,") for part in parts)
