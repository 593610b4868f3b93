"""The HTML report in a real browser: nothing overflows the page, at a phone's width and at a desk's."""

import html as markup
import re
import shutil
import subprocess

import pytest
import report_samples as samples

from ccsight.report import html

#: A frame of the wanted width, because a window has a least one. Its title then says what was measured.
_FRAME = """<!doctype html><title>not measured</title>
<iframe srcdoc="{document}" style="width: {width}px; height: 900px; border: 0"></iframe>
<script>document.querySelector("iframe").addEventListener("load", event => {{
  const report = event.target.contentDocument, page = report.documentElement;
  for (const folded of report.querySelectorAll("details")) folded.open = {unfold};
  const drawings = report.querySelectorAll("svg").length;
  document.title = `${{page.scrollWidth}} of ${{page.clientWidth}}, ${{drawings}} drawings`;
}})</script>"""
_QUIET = "--disable-background-networking --disable-component-update --disable-sync --no-first-run"


@pytest.mark.parametrize("unfold", ["false", "true"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("sample", ["good", "troubled", "hostile", "unlike"])
def test_the_page_fits_its_window(tmp_path, sample, width, unfold):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser, "no Chromium here: apt-get install chromium"
    document = markup.escape(html.document(getattr(samples, sample)()).decode())
    page = tmp_path / "frame.html"
    page.write_text(_FRAME.format(document=document, width=width, unfold=unfold))
    argv = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", *_QUIET.split()]
    argv += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    measured = re.search(r"<title>(\d+) of (\d+), (\d+) drawings</title>", done.stdout)
    assert measured, done.stderr
    needed, offered, drawings = map(int, measured.groups())
    assert width - 20 <= offered <= width  # a scroll bar takes its share
    assert needed <= offered
    assert drawings > 0
