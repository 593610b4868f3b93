"""The HTML report in a real browser: nothing overflows the page, at a phone's width and at a desk's."""

import html as markup
import json
import re
import shutil
import subprocess

import pytest
import report_samples as samples

#: A frame takes the wanted widths, because a window has a least one. The title then says what was measured.
#: What has been looked at goes, because the whole page is printed, and a report has megabytes.
_PAGE = """<!doctype html><title>not measured</title>
<script>
const looks = {looks}, said = [];
function look(frame, sample) {{
  const report = frame.contentDocument, page = report.documentElement;
  const drawings = report.querySelectorAll("svg").length;
  looks.forEach(([of, width, unfold], place) => {{
    if (of !== sample) return;
    frame.style.width = `${{width}}px`;
    for (const folded of report.querySelectorAll("details")) folded.open = unfold;
    said[place] = `${{page.scrollWidth}} of ${{page.clientWidth}}, ${{drawings}} drawings`;
  }});
  frame.remove();
  if (Object.keys(said).length === looks.length) document.title = said.join("; ");
}}</script>
{frames}"""
_FRAME = """<iframe onload="look(this, '{sample}')" srcdoc="{document}"
style="width: 800px; height: 900px; border: 0"></iframe>"""
SAMPLES = {
    "good": samples.one_good,
    "troubled": samples.only_troubled,
    "hostile": samples.hostile,
    "unlike": samples.unlike,
}
#: All in one browser, whose start takes longer than the rest; a report is unfolded once, which takes longest.
_LOOKS = [(sample, width, unfold) for sample in SAMPLES for unfold in (False, True) for width in (390, 1280)]
_QUIET = "--disable-background-networking --disable-component-update --disable-sync --no-first-run"


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What the browser measured of each report, width and state of its folds."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser, "no Chromium here: apt-get install chromium"
    folder = tmp_path_factory.mktemp("browser")
    page = folder / "frames.html"
    frames = [
        _FRAME.format(document=markup.escape(samples.page(result)), sample=sample)
        for sample, result in SAMPLES.items()
    ]
    page.write_text(_PAGE.format(frames="\n".join(frames), looks=json.dumps(_LOOKS)))
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
