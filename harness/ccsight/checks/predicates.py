"""The one door to lark: the language that tells a good capture from a bad one, from text to questions.

    guest.CLIDR_EL1.LoC == 2 and not check CR-004

Names are looked up here, before anything boots: what no capture could answer is refused, with a caret under
it. ``answers`` has what a capture answers, ``language`` what users are told.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import NoReturn

from lark import Lark, Token, Transformer, UnexpectedInput, v_args

from ccsight.checks import naming, spelling
from ccsight.checks.naming import Refused, Word
from ccsight.checks.places import ON_REQUEST
from ccsight.checks.questions import Both, Either, Moves, Not, Passes, Prints, Question, Same
from ccsight.errors import UsageError

_GRAMMAR = rf"""
?start: either
either: both ("or" both)*
both: denied ("and" denied)*
?denied: "not" denied -> negation
       | "(" either ")"
       | "check" BARE -> passes
       | "same" "as" (BARE | STRING) -> same
       | "console" "has" (BARE | STRING) -> prints
       | "migrate" "(" (SPEC | STRING) _ARROW (SPEC | STRING) choice* ")" _verdict -> moves
       | path OPERATOR (NUMBER | WORD | STRING) -> compared
choice: "," REGISTER "=" (CHOICE | STRING)
_verdict: "is" WORD | "is"? WORST "worst" WORD
path: REGISTER place? ("." (REGISTER | STRING))* | STRING ("." REGISTER)?
place: "(" setting ("," setting)* ")"
setting: REGISTER "=" SETTING
WORST: "at"
_ARROW: "->" | "→"
OPERATOR: "==" | "!=" | "<=" | ">=" | "<" | ">"
NUMBER: /0[xX][0-9a-fA-F]+|[0-9]+/
REGISTER: /{spelling.REGISTER}/
WORD: /{spelling.WORD}/
BARE: /{spelling.BARE}/
SPEC: /{spelling.SPEC}/
CHOICE: /{spelling.CHOICE}/
SETTING: /[A-Za-z0-9_-]+/
STRING: /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/
%ignore /\s+/
"""
#: What a terminal of the grammar is to people; the others are said as they are written.
_SPOKEN = {
    "REGISTER": "a vantage, a register or a field",
    "STRING": "a text in quotes",
    "BARE": "a word",
    "WORD": "a word",
    "NUMBER": "a number",
    "SETTING": "a value",
    "CHOICE": "a name",
    "SPEC": "a kernel spec, or this",
    "OPERATOR": "== != < <= > >=",
    "_ARROW": "->",
    "WORST": "at worst",
    "LPAR": "(",
    "RPAR": ")",
    "COMMA": ",",
    "DOT": ".",
    "EQUAL": "=",
    "$END": "the end",
}
#: Longer or deeper than this no question is.
_LONGEST, _DEEPEST = 4000, 50
_NEXT = "ccsight explain predicate"


@dataclass(frozen=True)
class Predicate:
    """A parsed predicate: the text as it was given, and the questions that it asks; ``str`` is canonical."""

    text: str
    tree: Question

    def __str__(self) -> str:
        return f"{self.tree}"

    @property
    def programs(self) -> frozenset[str]:
        """The programs of a cell that have to run for an answer; empty: all that usually do."""
        needed = [part.programs for part in self.tree.parts]
        if None in needed:
            return frozenset()
        return frozenset(program for programs in needed for program in programs or ())

    @property
    def requests(self) -> frozenset[str]:
        """The programs among them that do not run unless they are asked for (``evidence.plan.Depth``)."""
        needed = (part.programs or frozenset() for part in self.tree.parts)
        return frozenset(program for programs in needed for program in programs) & ON_REQUEST

    @property
    def sources(self) -> tuple[str, ...]:
        """The specs of the other kernels that VMs move from or to, each once."""
        found = (part.kernel for part in self.tree.parts if isinstance(part, Moves))
        return tuple(dict.fromkeys(found))

    @property
    def files(self) -> tuple[str, ...]:
        """The captures that ``same as`` names, each once."""
        return tuple(dict.fromkeys(part.file for part in self.tree.parts if isinstance(part, Same)))


def parse(text: str) -> Predicate:
    """Return the predicate of a text. Raises UsageError, with a caret under what cannot be."""
    if len(text) > _LONGEST:
        fact = f"a predicate has at most {_LONGEST} characters, this has {len(text)}"
        raise UsageError(fact, next_step="ask it in parts")
    try:
        # The parser makes questions as it goes along: no text is nested too deep for it.
        tree = _parser().parse(text)
    except Refused as error:
        _point(text, error.at, error.fact, error.next_step)
    except UnexpectedInput as error:
        _point(text, _place(error, text), *_said(error, text))
    if not isinstance(tree, Question):
        raise TypeError("the grammar makes questions")
    return Predicate(text, tree)


def _point(text: str, at: int, fact: str, next_step: str) -> NoReturn:
    shown = "".join(" " if char.isspace() else char for char in text)
    evidence = f"{shown}\n{' ' * at}^" if shown.strip() else ""
    raise UsageError(fact, evidence=evidence, next_step=next_step or _NEXT)


def _place(error: UnexpectedInput, text: str) -> int:
    ended = getattr(getattr(error, "token", None), "type", "") == "$END"
    return len(text.rstrip()) if ended or error.pos_in_stream is None else error.pos_in_stream


def _said(error: UnexpectedInput, text: str) -> tuple[str, str]:
    """Return fact and next step of what the grammar does not know."""
    if not text.strip():
        return "the predicate is empty", _NEXT
    at = _place(error, text)
    expected = getattr(error, "accepts", None) or getattr(error, "expected", None)
    expected = expected or getattr(error, "allowed", None) or set()
    words = dict.fromkeys(_SPOKEN.get(name, name.lower()) for name in sorted(expected))
    wrong = text[at:].split(maxsplit=1)
    fact = f"{wrong[0]!r} does not fit here, in a predicate" if wrong else "the predicate ends too early"
    return fact, f"expected: {', '.join(words)}" if words else _NEXT


_Setting = tuple[Word, Word]


@v_args(inline=True)
class _Questions(Transformer[Token, Question]):
    """Makes a question of each rule of the grammar, as it is recognised."""

    def either(self, *parts: Question) -> Question:
        return parts[0] if len(parts) == 1 else _shallow(Either(parts))

    def both(self, *parts: Question) -> Question:
        return parts[0] if len(parts) == 1 else _shallow(Both(parts))

    def negation(self, part: Question) -> Question:
        return _shallow(Not(part))

    def passes(self, check: Token) -> Question:
        return Passes(naming.law(_word(check)))

    def same(self, file: Token) -> Question:
        return Same(_word(file).said)

    def prints(self, text: Token) -> Question:
        return Prints(_word(text).said)

    def moves(self, source: Token, destination: Token, *rest: Token | _Setting) -> Question:
        choices = [part for part in rest if isinstance(part, tuple)]
        *worst, outcome = (part for part in rest if isinstance(part, Token))
        ends = _word(source), _word(destination)
        return naming.moves(ends, choices, _word(outcome), at_worst=bool(worst))

    def choice(self, key: Token, value: Token) -> _Setting:
        return _word(key), _word(value)

    setting = choice

    def place(self, *settings: _Setting) -> tuple[_Setting, ...]:
        return settings

    def path(self, *parts: Token | tuple[_Setting, ...]) -> naming.Path:
        words = tuple(_word(part) for part in parts if isinstance(part, Token))
        places = [part for part in parts if not isinstance(part, Token)]
        return naming.Path(words, places[0] if places else ())

    def compared(self, path: naming.Path, operator: Token, value: Token) -> Question:
        return naming.compared(path, _word(operator), _word(value))


def _word(token: Token) -> Word:
    """Return what a token says, without its quotes or trailing blanks, and where it stands."""
    at = token.start_pos or 0
    if token.type == "STRING":
        return Word(re.sub(r"\\(.)", r"\1", token[1:-1]), at, quoted=True)
    return Word(token.rstrip(), at)


def _shallow(question: Question) -> Question:
    if question.depth > _DEEPEST:
        raise Refused(0, f"this is nested deeper than {_DEEPEST} levels", "say it in fewer parentheses")
    return question


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", lexer="contextual", transformer=_Questions())
