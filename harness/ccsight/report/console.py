"""The one door to rich: results on stdout, narration, errors and the progress board on stderr.

NO_COLOR is honoured, and nothing moves unless stderr is a terminal.
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ccsight.errors import CcsightError
from ccsight.report.blocks import Block, Flow, Grid, Line, Spans, Tone
from ccsight.report.board import Board, Progress
from ccsight.report.printable import printable

#: Columns off a terminal, unless COLUMNS says otherwise: wide enough for every table.
_PIPE_WIDTH = 120
_GAP = 2
_BETWEEN_PHRASES = "    "
_STYLES = {
    Tone.PLAIN: "",
    Tone.STRONG: "bold",
    Tone.DIM: "dim",
    Tone.GOOD: "green",
    Tone.BAD: "bold red",
    Tone.CAUTION: "yellow",
}


class _Console(Console):
    """A console that lets the caller know when nobody reads any more."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Output:
    """Where results go."""

    def __init__(self, file: TextIO) -> None:
        self._console = _console(file)

    def print(self, page: Iterable[Block]) -> None:
        """Print a page, laid out for the width that there is."""
        for block in page:
            for text in _lines(self._console, block):
                self._console.print(text, soft_wrap=True)


def output() -> Output:
    """Return stdout."""
    return Output(sys.stdout)


def write_bytes(document: bytes) -> None:
    """Write a JSON document to stdout as it is."""
    sys.stdout.flush()
    sys.stdout.buffer.write(document)
    sys.stdout.buffer.flush()


def narrate(text: str) -> None:
    """Print a line about what is going on to stderr."""
    _console(sys.stderr).print(Text(printable(text)), soft_wrap=True)


def show_error(error: CcsightError) -> None:
    """Print an error of the taxonomy to stderr: fact, evidence, next step; no traceback."""
    console = _console(sys.stderr)
    console.print(Text.assemble(("ccsight: ", _STYLES[Tone.BAD]), printable(error.fact)), soft_wrap=True)
    for head, text in error.below():
        console.print(Text.assemble((head, _STYLES[Tone.DIM]), printable(text)), soft_wrap=True)


@contextlib.contextmanager
def board(cells: Sequence[str]) -> Iterator[Board]:
    """Show the progress of cells on stderr: a live table on a terminal, off it a line for what ended."""
    console = _console(sys.stderr)
    if not _moves(console):
        width = max(map(len, cells), default=0)

        def tell(progress: Progress, number: int, of: int) -> None:
            head = f"[{number}/{of}] {printable(progress.cell):<{width}}"
            word, seconds = progress.word or progress.stage, progress.elapsed or 0.0
            console.print(Text(f"{head}  {word}  {seconds:.1f} s"), soft_wrap=True)

        yield Board(cells, tell)
        return
    state = Board(cells)
    spinner = Spinner("dots")
    with Live(
        get_renderable=lambda: _board(state, spinner, console.height), console=console, refresh_per_second=10
    ):
        yield state


def _moves(console: Console) -> bool:
    """Tell a terminal that can redraw lines from everything else; FORCE_COLOR does not make one."""
    return console.file.isatty() and console.is_terminal and not console.is_dumb_terminal


def _console(file: TextIO) -> Console:
    if isinstance(file, io.TextIOWrapper):
        file.reconfigure(errors="replace")  # an arrow is no reason to crash in a Latin-1 locale
    fits = file.isatty() or "COLUMNS" in os.environ
    return _Console(
        file=file,
        width=None if fits else _PIPE_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )


def _text(spans: Spans) -> Text:
    return Text.assemble(*((span.text, _STYLES[span.tone]) for span in spans))


def _lines(console: Console, block: Block) -> Iterator[Text]:
    if isinstance(block, Line):
        yield _text(block.spans)
    elif isinstance(block, Flow):
        yield from _flow(console.width, block)
    else:
        yield from _grid(console, block)


def _flow(width: int, block: Flow) -> Iterator[Text]:
    current = Text()
    for phrase in map(_text, block.phrases):
        if current.cell_len and current.cell_len + len(_BETWEEN_PHRASES) + phrase.cell_len > width:
            yield current
            current = Text.assemble(" " * block.hang, phrase)
        else:
            current = Text.assemble(current, _BETWEEN_PHRASES if current.cell_len else "", phrase)
    yield current


def _grid(console: Console, block: Grid) -> Iterator[Text]:
    """Yield the lines of a grid without the blanks that rich pads them with."""
    table = Table.grid(padding=(0, _GAP, 0, 0))
    columns = max((len(row) for row in block.rows), default=0)
    for column in range(columns):
        table.add_column(no_wrap=column < block.fixed, overflow="fold")
    for row in block.rows:
        table.add_row(*map(_text, row))
    options = console.options.update_width(console.width - block.indent)
    for segments in console.render_lines(table, options, pad=False):
        parts = ((segment.text, segment.style or "") for segment in segments)
        line = Text.assemble(" " * block.indent, *parts)
        line.rstrip()
        yield line


def _board(state: Board, spinner: Spinner, height: int) -> RenderableType:
    """Return the live table; where the terminal is too low for all cells, those at work."""
    cells = state.snapshot()
    done = sum(bool(cell.word) for cell in cells)
    shown = cells if len(cells) < height - 2 else [cell for cell in cells if cell.since and not cell.word]
    table = Table.grid(padding=(0, _GAP, 0, 0))
    for cell in shown:
        elapsed = "" if cell.elapsed is None else f"{cell.elapsed:.1f} s"
        table.add_row(*_state(cell, spinner), Text(elapsed, justify="right"))
    total = Text(f"{done} of {len(cells)} cells  {state.elapsed:.0f} s", _STYLES[Tone.DIM])
    return Group(table, total)


def _state(cell: Progress, spinner: Spinner) -> tuple[RenderableType, Text, Text]:
    name = Text(printable(cell.cell))
    if cell.word:
        tone = Tone.BAD if cell.word in {"FAIL", "ERROR", "MISS"} else Tone.GOOD
        return Text("✗" if tone is Tone.BAD else "✓", _STYLES[tone]), name, Text(cell.word, _STYLES[tone])
    if cell.since is None:
        return Text("·", _STYLES[Tone.DIM]), name, Text(cell.stage, _STYLES[Tone.DIM])
    return spinner, name, Text(printable(cell.stage))
