"""The wire format's parser: what is well-formed is read back; anything else is refused, with its line."""

import string
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsight.errors import ProbeError
from ccsight.probes import stream

_WORDS = st.text(string.ascii_lowercase, min_size=1, max_size=16)
_VALUES = st.text(st.characters(max_codepoint=255), max_size=40)
_CONTENT = st.lists(
    st.tuples(_WORDS, st.dictionaries(_WORDS.filter(lambda key: key != "n"), _VALUES, max_size=3))
)


def _escape(value: str) -> str:
    return "".join(char if "!" <= char <= "~" and char != "%" else f"%{ord(char):02X}" for char in value)


def render(content: list[tuple[str, dict[str, str]]], program: str = "test") -> bytes:
    lines = [f"@begin ccsight 1 {program}"]
    for number, (kind, values) in enumerate(content, 1):
        pairs = [f"{key}={_escape(value)}" for key, value in values.items()]
        lines.append(" ".join([kind, f"n={number}", *pairs]))
    return "\n".join([*lines, f"@end {len(content)}", ""]).encode()


GOOD = render([("reg", {"vcpu": "0", "value": "0x1f"}), ("text", {"value": "a b%\n"}), ("off", {})])


@given(_CONTENT)
def test_what_is_written_is_read_back(content):
    parsed = stream.parse(render(content), "test")
    assert [(line.kind, line.values) for line in parsed.lines] == content
    assert [line.number for line in parsed.lines] == list(range(1, len(content) + 1))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_stream_or_a_probe_error(raw):
    for content in (raw, b"@begin ccsight 1 test\n" + raw):
        with suppress(ProbeError):
            assert stream.parse(content, "test").program == "test"


@given(st.integers(0, len(GOOD) - 1))
def test_every_cut_is_refused(length):
    with pytest.raises(ProbeError):
        stream.parse(GOOD[:length], "test")


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_changed_byte_is_refused_or_changes_just_what_it_says(place, byte):
    """No change reads as the original: there is one way to write a line."""
    changed = GOOD[:place] + bytes([byte]) + GOOD[place + 1 :]
    try:
        parsed = stream.parse(changed, "test")
    except ProbeError:
        return
    assert (parsed == stream.parse(GOOD, "test")) == (changed == GOOD)


@given(st.permutations(GOOD.splitlines(keepends=True)))
def test_reordered_lines_are_refused(lines):
    raw = b"".join(lines)
    if raw != GOOD:
        with pytest.raises(ProbeError):
            stream.parse(raw, "test")


@given(st.sampled_from(GOOD.splitlines(keepends=True)), st.integers(0, 5))
def test_a_repeated_or_inserted_line_is_refused(line, place):
    lines = GOOD.splitlines(keepends=True)
    with pytest.raises(ProbeError):
        stream.parse(b"".join([*lines[:place], line, *lines[place:]]), "test")


@pytest.mark.parametrize(
    ("raw", "fact"),
    [
        (b"", "is empty"),
        (b"hello\n", "does not start with @begin"),
        (b"@begin ccsight 2 test\n@end 0\n", "has the version 2"),
        (b"@begin ccsight 1 test\n", "is cut: its last line is not @end"),
        (b"@begin ccsight 1 test\n@end 0", "is cut in line 1"),
        (b"@begin ccsight 1 test\noff n=1\n@end 2\n", "ends after 1 lines, but says 2"),
        (b"@begin ccsight 1 test\noff n=2\n@end 1\n", "has line 2 where line 1 must be"),
        (b"@begin ccsight 1 test\noff n=1\n@end 1\n@end 1\n", "has a malformed line 2"),
        (b"@begin ccsight 1 test\noff  n=1\n@end 1\n", "has a malformed line 1"),
        (b"@begin ccsight 1 test\noff n=1\r\n@end 1\n", "has a malformed line 1"),
        (b"@begin ccsight 1 test\noff n=1 a=\x1b[2J\n@end 1\n", "has a malformed line 1"),
        (b"@begin ccsight 1 test\noff n=1 a=%41\n@end 1\n", "has a malformed line 1"),
        (b"@begin ccsight 1 test\noff n=1 a=%c3\n@end 1\n", "has a malformed line 1"),
        (b"@begin ccsight 1 test\noff n=1 a=1 a=2\n@end 1\n", "has a key twice in line 1"),
        (b"@begin ccsight 1 test\noff n=1 a=\xff\n@end 1\n", "is not ASCII in line 1"),
        (b"@begin ccsight 1 test\noff n=1 a=" + b"x" * 512 + b"\n@end 1\n", "bytes in line 1, more than 511"),
    ],
)
def test_the_message_names_the_line(raw, fact):
    with pytest.raises(ProbeError) as caught:
        stream.parse(raw, "the probe")
    assert caught.value.fact.startswith("the stream of the probe ")
    assert fact in caught.value.fact


def test_bounds():
    most = [("off", {})] * stream.LINES_MAX
    assert len(stream.parse(render(most), "test").lines) == stream.LINES_MAX
    with pytest.raises(ProbeError, match="more than 32768"):
        stream.parse(render([*most, ("off", {})]), "test")
    with pytest.raises(ProbeError, match="more than 16778240"):
        stream.parse(b"x" * (stream.STREAM_MAX + 1), "test")


@pytest.mark.parametrize("text", ["", "12", "0x", "0X1", "0x01", "0xG", "0x1 ", "0x12345678123456781"])
def test_a_number_that_is_none_is_refused(text):
    line = stream.parse(render([("reg", {"value": text})]), "test").lines[0]
    with pytest.raises(ProbeError, match=r"line 1 \(reg\) has no value that is a number"):
        line.hex("value")


@pytest.mark.parametrize("text", ["", "01", "-1", "1000000", "0x1", "\u00b2"])
def test_a_count_that_is_none_is_refused(text):
    line = stream.parse(render([("vm", {"vcpus": text})]), "test").lines[0]
    with pytest.raises(ProbeError, match=r"line 1 \(vm\)"):
        line.count("vcpus")


def test_an_error_line_is_said_with_what_failed():
    raw = render([("kvm", {"api": "12"}), ("error", {"what": "KVM_CREATE_VM", "errno": "EINVAL"})])
    with pytest.raises(ProbeError, match="could not observe everything") as caught:
        stream.parse(raw, "the probe").raise_errors()
    assert caught.value.evidence == "line 2: error what=KVM_CREATE_VM errno=EINVAL"
