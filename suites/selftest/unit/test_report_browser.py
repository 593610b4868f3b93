"""The HTML report in a real browser: nothing overflows the page, at a phone's width and at a desk's."""

import html as markup
import re
import shutil
import subprocess

import pytest
import report_samples as samples

from ccsight.report import html

#: Frames of the wanted widths, because a window has a least one. The title then says what was measured.
_PAGE = """<!doctype html><title>not measured</title>
<script>
const said = [];
function look(frame, place, unfold) {{
  const report = frame.contentDocument, page = report.documentElement;
  for (const folded of report.querySelectorAll("details")) folded.open = unfold;
  const drawings = report.querySelectorAll("svg").length;
  said[place] = `${{page.scrollWidth}} of ${{page.clientWidth}}, ${{drawings}} drawings`;
  if (Object.keys(said).length === {count}) document.title = said.join("; ");
}}</script>
{frames}"""
_FRAME = """<iframe onload="look(this, {place}, {unfold})" srcdoc="{document}"
style="width: {width}px; height: 900px; border: 0"></iframe>"""
SAMPLES = ("good", "troubled", "hostile", "unlike")
#: All in one browser, whose start takes longer than the rest.
_LOOKS = [
    (sample, width, unfold) for sample in SAMPLES for width in (390, 1280) for unfold in ("false", "true")
]
_QUIET = "--disable-background-networking --disable-component-update --disable-sync --no-first-run"


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What the browser measured of each report, width and state of its folds."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser, "no Chromium here: apt-get install chromium"
    documents = {
        sample: markup.escape(html.document(getattr(samples, sample)()).decode()) for sample in SAMPLES
    }
    folder = tmp_path_factory.mktemp("browser")
    page = folder / "frames.html"
    frames = [
        _FRAME.format(document=documents[sample], place=place, width=width, unfold=unfold)
        for place, (sample, width, unfold) in enumerate(_LOOKS)
    ]
    page.write_text(_PAGE.format(frames="\n".join(frames), count=len(frames)))
    argv = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", *_QUIET.split()]
    argv += [f"--user-data-dir={folder / 'profile'}", "--dump-dom", page.as_uri()]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    found = re.search(r"<title>(.*)</title>", done.stdout)
    assert found, done.stderr
    return dict(zip(_LOOKS, found[1].split("; "), strict=True))


@pytest.mark.parametrize(("sample", "width", "unfold"), _LOOKS)
def test_the_page_fits_its_window(measured, sample, width, unfold):
    found = re.fullmatch(r"(\d+) of (\d+), (\d+) drawings", measured[sample, width, unfold])
    assert found, measured
    needed, offered, drawings = map(int, found.groups())
    assert width - 20 <= offered <= width  # a scroll bar takes its share
    assert needed <= offered
    assert drawings > 0
