"""What asks programs under the sanitizers: it notices each way in which they are not right."""

import pytest
from served import served

#: Does what a word says.
FAULTY = r"""
#include <string.h>
#include <unistd.h>
#include "served.h"

int main(void)
{
    static unsigned char input[16];
    char word[16];
    size_t count;

    while (next_input(word, input, sizeof(input), &count)) {
        char *room = malloc(count);

        if (!strcmp(word, "beyond"))
            room[count] = 1;
        else if (!strcmp(word, "complain"))
            fputs("oops", stderr);
        else if (!strcmp(word, "hang"))
            pause();
        fwrite(input, 1, count, answer);
        if (strcmp(word, "keep"))
            free(room);
        else
            room = NULL;
        send_answer(count == 3);
    }
    return 0;
}
"""


@pytest.fixture
def program(tmp_path):
    with served(tmp_path, FAULTY, ()) as program:
        yield program


def test_each_input_has_its_answer(program):
    for content in (b"", b"one", b"1 2\n3", b"\0\xff"):
        assert program.ask(content) == (len(content) == 3, content)


def test_one_that_dies_fails_its_input_and_no_other(program, monkeypatch):
    with pytest.raises(AssertionError, match="AddressSanitizer: heap-buffer-overflow"):
        program.ask(b"12", "beyond")
    assert program.ask(b"12") == (0, b"12")
    with pytest.raises(AssertionError, match="complains: oops"):
        program.ask(b"12", "complain")
    with pytest.raises(AssertionError, match="died"):
        program.ask(bytes(17))  # it has no room for so much
    monkeypatch.setattr("served.PATIENCE", 0.1)
    with pytest.raises(AssertionError, match="hangs"):
        program.ask(b"12", "hang")
    monkeypatch.undo()
    assert program.ask(b"one") == (1, b"one")


def test_what_is_not_freed_is_found_at_the_end(program):
    program.ask(b"12", "keep")
    with pytest.raises(AssertionError):
        program.end()
    assert program.ask(b"one") == (1, b"one")
