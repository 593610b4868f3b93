"""The grammar of kernel and machine specs."""

import pytest

from ccsight.errors import UsageError
from ccsight.specs import parse, render

KINDS = {"deb": frozenset({"flavour", "append", "name"}), "image": frozenset({"modules"})}


def test_options_keep_their_order_and_may_repeat():
    spec = parse("deb:6.1=6.1.176-1,append=a=b,append=c", KINDS, "kernel")
    assert (spec.kind, spec.value) == ("deb", "6.1=6.1.176-1")
    assert spec.all("append") == ("a=b", "c")
    assert spec.option("append") == "c"
    assert spec.option("name") is None


def test_a_doubled_comma_is_a_comma():
    assert parse("deb:6.1,append=isolcpus=1,,2,name=x", KINDS, "kernel").options == (
        ("append", "isolcpus=1,2"),
        ("name", "x"),
    )


@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        ("dbe:6.1", "'deb'"),
        ("6.1", "deb"),
        ("deb:6.1,flavor=x", "'flavour'"),
        ("deb:6.1,flavour", "'flavour'"),
    ],
)
def test_what_is_wrong_names_its_neighbour(text, evidence):
    with pytest.raises(UsageError) as caught:
        parse(text, KINDS, "kernel")
    assert evidence in caught.value.evidence
    assert caught.value.next_step


@pytest.mark.parametrize("text", ["running", "running,build-id=x", "running,name=a=b,,c"])
def test_a_kind_that_stands_alone(text):
    kinds = KINDS | {"running": frozenset({"build-id", "name"})}
    spec = parse(text, kinds, "kernel", ("running",))
    assert (spec.kind, spec.value) == ("running", "")
    assert render(spec.kind, spec.value, spec.options) == text
    for wrong in ("running:", "running:6.1", "deb"):
        with pytest.raises(UsageError, match="is not a kernel") as caught:
            parse(wrong, kinds, "kernel", ("running",))
        assert caught.value.next_step == "write it as deb:… or image:… or running"


def test_a_kind_without_a_value():
    with pytest.raises(UsageError, match="lacks"):
        parse("deb:", KINDS, "kernel")


@pytest.mark.parametrize("text", ["deb:6.1", "deb:6.1=6.1.176-1,append=isolcpus=1,,2,append=c,name=x"])
def test_render_is_the_inverse_of_parse(text):
    spec = parse(text, KINDS, "kernel")
    assert render(spec.kind, spec.value, spec.options) == text
