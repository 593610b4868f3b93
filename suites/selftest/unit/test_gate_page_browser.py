"""Pages in a real browser: they fit, their filters filter, and print, darkness and axe have no complaint.

axe is Deque's checker of what screen readers and keyboards need, in the package axe-core-python.
"""

import importlib.util
import json
from itertools import pairwise
from pathlib import Path

import pytest
from chromium import browser
from decision_samples import SAMPLES, document
from gate_samples import A57, N1, NEW, OLD, good, lawless, lean, of

from ccsight.report import html

#: Reports of runs: one that is good, one whose new kernel fails a law on one of two machines.
RUNS = {
    "good": lambda: good(N1),
    "bad": lambda: of(lean(N1, OLD), lawless(), lean(A57, OLD), lean(A57, NEW)),
}
NAMES = [*(sample.__name__ for sample in SAMPLES), *RUNS]
#: What nobody may be kept out by.
_GRAVE = {"serious", "critical"}
_VIOLATIONS = """axe.run(document, {resultTypes: ["violations"]}).then(found => found.violations.map(
    each => [each.impact, each.id, each.nodes[0].html]))"""
_FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
#: Every register is much of the same, and axe takes its time with each: of each list one is enough.
_SHORTEN = """document.querySelectorAll(".bulk details + details, .bulk p + p, .bulk div + div").forEach(
    each => each.remove())"""
_UNFOLD = "document.querySelectorAll('details:not(.bulk)').forEach(each => each.open = true)"
_SEEN = """[...document.querySelectorAll(%s)].filter(each => each.checkVisibility()).map(
    each => each.innerText.trim().split(/\\s+/)[0])"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A browser, and the file of each page, by its name."""
    folder = tmp_path_factory.mktemp("pages")
    texts = {sample.__name__: document(sample(folder / sample.__name__)) for sample in SAMPLES}
    texts |= {name: html.document(sample()).decode() for name, sample in RUNS.items()}
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    with browser(folder) as tab:
        yield tab, folder


@pytest.fixture(scope="module")
def axe():
    """The script of axe."""
    found = importlib.util.find_spec("axe_core_python")
    assert found, "pip install 'ccsight[dev]'"
    assert found.origin
    return Path(found.origin).with_name("axe.min.js").read_text(encoding="utf-8")


def grave(tab, axe):
    tab.ask(f"{axe};0")
    return [each for each in tab.ask(_VIOLATIONS) if each[0] in _GRAVE]


def choose(tab, key, choice):
    found = tab.ask(f"""(() => {{
        const from = document.getElementById("by-{key}");
        const at = [...from.options].find(each => each.text === {json.dumps(choice)});
        from.value = at ? at.value : "none";
        return Boolean(at);
    }})()""")
    assert found, choice


def seen(tab, what):
    return tab.ask(_SEEN % json.dumps(what))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_its_window(shown, name, width):
    tab, folder = shown
    tab.show(folder / f"{name}.html", width)
    assert tab.ask(_FITS)
    tab.ask(_UNFOLD)
    assert tab.ask(_FITS)


@pytest.mark.parametrize("name", NAMES)
def test_a_screen_reader_finds_its_way(shown, name):
    tab, folder = shown
    tab.show(folder / f"{name}.html")
    levels = tab.ask("[...document.querySelectorAll('h1,h2,h3,h4')].map(each => +each.localName[1])")
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    count = "document.querySelectorAll(%s).length"
    assert [tab.ask(count % json.dumps(each)) for each in ("header", "main", "h1")] == [1, 1, 1]
    assert tab.ask(count % json.dumps("th:not([scope])")) == 0
    assert tab.ask(count % json.dumps(".scroll:not([tabindex='0'][aria-label])")) == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_grave(shown, axe, name, scheme):
    tab, folder = shown
    tab.show(folder / f"{name}.html", scheme=scheme)
    tab.ask(_SHORTEN)
    tab.ask(_UNFOLD)
    assert grave(tab, axe) == []


@pytest.mark.parametrize(
    ("harm", "rule"),
    [
        ("document.querySelector('.soft').style.color = '#ccc'", "color-contrast"),
        ("document.querySelector('select').closest('label').replaceWith(document.querySelector('select'))",
         "select-name"),
        ("document.documentElement.removeAttribute('lang')", "html-has-lang"),
    ],
)  # fmt: skip
def test_axe_would_find_it(shown, axe, harm, rule):
    tab, folder = shown
    tab.show(folder / "hold.html")
    tab.ask(f"{harm};0")
    assert rule in [each[1] for each in grave(tab, axe)]


def test_the_filters_of_a_decision(shown):
    tab, folder = shown
    tab.show(folder / "hold.html")
    assert seen(tab, ".matrix tbody tr") == ["n1", "v1", "x1", "a57"]
    assert seen(tab, ".shown") == []
    choose(tab, "m", "v1")
    assert seen(tab, ".matrix tbody tr") == ["v1"]
    assert seen(tab, "#caches ~ .item h3") == ["v1"]
    reasons = tab.ask(_SEEN % json.dumps(".reason h3") + ".length")
    assert reasons == 1
    count = "getComputedStyle(document.querySelector('.shown'), '::before').content"
    assert tab.ask(count) == 'counter(shown) " of 4 reasons shown"'
    choose(tab, "c", "CR-007")
    assert seen(tab, ".reason h3") == []
    assert [*dict.fromkeys(seen(tab, "#accepted ~ .item summary"))] == ["CR-007"]
    tab.ask("document.querySelector('.filters button').click()")
    assert seen(tab, ".matrix tbody tr") == ["n1", "v1", "x1", "a57"]
    assert len(seen(tab, ".reason h3")) == 4
    choose(tab, "v", "ADVANCE")
    assert seen(tab, ".matrix tbody tr") == []
    assert seen(tab, ".reason h3") == []


def test_the_filters_of_a_run(shown):
    tab, folder = shown
    tab.show(folder / "bad.html")
    assert seen(tab, ".machine > h2") == [N1, A57]
    choose(tab, "v", "FAIL")
    assert seen(tab, ".machine > h2") == [N1]
    assert set(seen(tab, ".judgement > summary")) == {"FAIL"}
    choose(tab, "c", "CR-001")
    assert len(seen(tab, ".judgement > summary")) == 1
    choose(tab, "m", A57)
    assert seen(tab, ".machine > h2") == []


@pytest.mark.parametrize("name", ["revert", "bad"])
def test_folds_are_open_and_all_is_light_in_print(shown, name):
    tab, folder = shown
    folded = "summary + *:not(.bulk *)"
    tab.show(folder / f"{name}.html", scheme="dark")
    assert seen(tab, folded) == []
    tab.show(folder / f"{name}.html", 800, media="print", scheme="dark")
    hidden = f"[...document.querySelectorAll({json.dumps(folded)})].filter(each => !each.checkVisibility())"
    assert tab.ask(f"{hidden}.length") == 0
    assert seen(tab, ".filters, .skip") == []
    assert tab.ask("getComputedStyle(document.body).color") == "rgb(29, 32, 36)"
    assert tab.pdf().startswith(b"%PDF-")


def test_dark_is_dark(shown):
    tab, folder = shown
    tab.show(folder / "hold.html", scheme="dark")
    assert tab.ask("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 26)"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_fetched_and_no_script_runs(shown, name):
    tab, folder = shown
    tab.show(folder / f"{name}.html")
    assert tab.ask("performance.getEntriesByType('resource').length") == 0
    script = "const own = document.createElement('script'); own.textContent = 'document.title = 1'"
    title = tab.ask("document.title")
    tab.ask(f"{{ {script}; document.body.append(own) }}")
    assert tab.ask("document.title") == title
