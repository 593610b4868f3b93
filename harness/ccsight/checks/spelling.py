"""How the words of a predicate are spelled: what needs no quotes, and the quotes of what does."""

import re

#: What needs no quotes, by where it stands.
NAME = r"[A-Za-z_][A-Za-z0-9_]*"
WORD = r"[A-Za-z][A-Za-z0-9_-]*"
BARE = r"[^\s()\"']+"
SPEC = r"(?!->|→)[^\s()\"'](?:(?!\s*(?:->|→)|,\s*(?:strategy|vmm)\s*=)[^()\"'])*"
CHOICE = r"[^\s,()\"'][^,()\"']*"
REGISTER = rf"{NAME}(?:\[[0-9]+\])?"


def quoted(text: str, plain: str) -> str:
    """Return a text as it is where it fits the pattern, else in quotes."""
    if re.fullmatch(plain, text) and text == text.strip():
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
