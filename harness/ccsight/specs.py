"""The grammar that kernel and machine specs share: ``KIND:VALUE[,KEY=VALUE]…``, as QEMU writes options.

A kind of which there is only one stands alone, without a value; another may. A comma inside a value is
doubled. Options keep their order and may repeat.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ccsight.arm64.suggest import meant, nearest
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


@dataclass(frozen=True)
class Form:
    """How the specs of a kind are written: the option keys that they take, and the name of their value.

    A kind of which there is only one has no ``value``; one that may stand ``alone`` need not have it.
    """

    options: frozenset[str]
    value: str = ""
    alone: bool = False

    def written(self, name: str) -> str:
        """Return how a spec of the kind of this name begins."""
        whole = f"{name}:{self.value}" if self.value else name
        return f"{name}, {whole}" if self.value and self.alone else whole

    def takes(self, colon: str) -> bool:
        """Tell whether a value may follow, or may be left out."""
        return bool(colon) == bool(self.value) or (self.alone and not colon)


def parse(text: str, kinds: Mapping[str, Form], what: str) -> Spec:
    """Parse a spec of ``what``, a kernel or a machine. Raises UsageError naming the nearest kind or key."""
    first, *rest = _split(text)
    kind, colon, value = first.partition(":")
    forms = {name: form.written(name) for name, form in kinds.items()}
    if kind not in kinds or not kinds[kind].takes(colon):
        raise UsageError(
            f"{text!r} is not a {what}",
            evidence=meant(kind, kinds.keys() - {kind}),
            next_step=f"write it as {', '.join(forms.values())}; ccsight {what}s lists what there is",
        )
    if colon and not value:
        raise UsageError(
            f"{text!r} lacks what comes after the colon",
            next_step=f"write it as {forms[kind]}; ccsight {what}s lists what there is",
        )
    options = tuple(_option(part, kind, kinds, text) for part in rest)
    return Spec(text, kind, value, options)


def _split(text: str) -> list[str]:
    return [part.replace("\0", ",") for part in text.replace(",,", "\0").split(",")]


def _option(part: str, kind: str, kinds: Mapping[str, Form], text: str) -> tuple[str, str]:
    key, equals, value = part.partition("=")
    keys = kinds[kind].options
    if key in keys and equals:
        return key, value
    others = [name for name, form in kinds.items() if key in form.options - keys]
    next_step = "options are KEY=VALUE; a comma inside a value is doubled"
    if others:
        next_step = f"{key}= is an option of {', '.join(others)}"
    elif not keys:
        next_step = "leave it out"
    raise UsageError(
        f"{part!r} is not an option of {kind}: in {text!r}",
        evidence=nearest(key, sorted(keys)) if keys else f"{kind} takes no options",
        next_step=next_step,
    )


def render(kind: str, value: str, options: tuple[tuple[str, str], ...]) -> str:
    """Return the text of a spec; the inverse of :func:`parse`."""
    parts = [f"{kind}:{value}" if value else kind, *(f"{key}={text}" for key, text in options)]
    return ",".join(part.replace(",", ",,") for part in parts)
