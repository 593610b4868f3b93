"""Programs in C that answer many inputs: starting one under the sanitizers takes longer than its answer."""

import select
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

#: How programs are built whose every access is watched; served.h lies here.
FLAGS = ("-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror", f"-I{Path(__file__).parent}")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
#: Seconds within which an input is answered, or the program hangs.
PATIENCE = 20


class Served:
    """A program that runs until it dies of an input; another one then answers the next."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] = TemporaryFile()  # noqa: SIM115 - as long as ours, and then gone

    def ask(self, content: bytes, word: str = "-") -> tuple[int, bytes]:
        """Return the status and the answer; fail if the program dies, hangs, or says what is not asked."""
        if self._process is None:
            self._process = subprocess.Popen(
                [self._program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
            )
        try:
            self._process.stdin.write(f"{word} {len(content)}\n".encode() + content)
            self._process.stdin.flush()
        except BrokenPipeError:
            self._fail("died while it read")
        if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
            self._fail("hangs")
        head = self._process.stdout.readline().split()
        if len(head) != 2:
            self._fail("died")
        answer = self._process.stdout.read(int(head[1]))
        if self._said():
            self._fail("complains")
        return int(head[0]), answer

    def end(self) -> None:
        """End the program, which must be content: it now looks for what it has not freed."""
        if self._process is None:
            return
        ended, self._process = self._process, None
        ended.communicate(timeout=PATIENCE)
        said = self._said()
        self._errors.truncate(0)
        assert (ended.returncode, said) == (0, b"")

    def _fail(self, how: str) -> None:
        self._process.kill()
        self._process.communicate()
        self._process = None
        said = self._said()
        self._errors.truncate(0)
        raise AssertionError(f"the program {how}: {said.decode(errors='replace')}")

    def _said(self) -> bytes:
        self._errors.seek(0)
        return self._errors.read()


@contextmanager
def served(folder: Path, main: str, sources: Sequence[Path], *flags: str) -> Iterator[Served]:
    """Build a program of a main file's text and sources, and let it answer.

    It is for the tests of one module: to others, a program that waits is a child that they did not start.
    """
    (folder / "harness.c").write_text(main)
    command = ["gcc", *FLAGS, *SANITIZERS, *flags, "-o", folder / "harness", folder / "harness.c", *sources]
    subprocess.run(command, check=True)
    made = Served(folder / "harness")
    yield made
    made.end()
