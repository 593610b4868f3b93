"""The grammar of kernel and machine specs."""

import pytest

from ccsight.errors import UsageError
from ccsight.specs import Form, parse, render

KINDS = {
    "deb": Form(frozenset({"flavour", "append", "name"}), "SERIES"),
    "image": Form(frozenset({"modules"}), "FILE"),
    "bare": Form(frozenset(), "NAME"),
}


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
    kinds = KINDS | {"running": Form(frozenset({"build-id", "name"}))}
    spec = parse(text, kinds, "kernel")
    assert (spec.kind, spec.value) == ("running", "")
    assert render(spec.kind, spec.value, spec.options) == text
    for wrong in ("running:", "running:6.1", "deb"):
        with pytest.raises(UsageError, match="is not a kernel") as caught:
            parse(wrong, kinds, "kernel")
        assert caught.value.next_step == (
            "write it as deb:SERIES, image:FILE, bare:NAME, running; ccsight kernels lists what there is"
        )


def test_a_kind_without_a_value():
    with pytest.raises(UsageError, match="lacks") as caught:
        parse("deb:", KINDS, "kernel")
    assert caught.value.next_step == "write it as deb:SERIES; ccsight kernels lists what there is"


@pytest.mark.parametrize(
    ("text", "evidence", "next_step"),
    [
        ("deb:6.1,modules=x", "known: append, flavour, name", "modules= is an option of image"),
        ("bare:x,cpus=3", "bare takes no options", "leave it out"),
        ("image:x,cpus=3", "known: modules", "options are KEY=VALUE; a comma inside a value is doubled"),
    ],
)
def test_an_option_of_another_kind_says_of_which(text, evidence, next_step):
    with pytest.raises(UsageError, match="is not an option of") as caught:
        parse(text, KINDS, "kernel")
    assert (caught.value.evidence, caught.value.next_step) == (evidence, next_step)


@pytest.mark.parametrize("text", ["deb:6.1", "deb:6.1=6.1.176-1,append=isolcpus=1,,2,append=c,name=x"])
def test_render_is_the_inverse_of_parse(text):
    spec = parse(text, KINDS, "kernel")
    assert render(spec.kind, spec.value, spec.options) == text
