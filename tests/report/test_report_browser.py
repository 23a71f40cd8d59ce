"""The page in a browser: no error, no request, every figure drawn, search and folds work."""

import html
import json
import re
import shutil
import subprocess

import pytest

from glassml.report.build import build

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), None)
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--enable-logging=stderr",
    "--virtual-time-budget=60000",
)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium here (Debian: apt-get install chromium)"
)
# Runs in the page, after it: what a reader would do, and what the browser says of it.
WATCH = """<script>
window.wrong = [];
addEventListener("error", (e) => wrong.push(String(e.message)), true);
addEventListener("unhandledrejection", (e) => wrong.push(String(e.reason)));
addEventListener("securitypolicyviolation", (e) => wrong.push("blocked " + e.blockedURI));
</script>"""
PROBE = """<script>
addEventListener("load", async () => {
  const field = document.getElementById("search");
  const found = document.getElementById("found");
  const fold = document.querySelector("#dynamics details.fold");
  const closed = !fold.open;
  field.value = "series ambient";
  field.dispatchEvent(new Event("input"));
  const first = found.querySelector("button");
  const title = first ? first.textContent : "";
  if (first) first.click();
  const opened = fold.open;
  field.value = "zzzz";
  field.dispatchEvent(new Event("input"));
  const nothing = found.textContent;
  document.dispatchEvent(new KeyboardEvent("keydown", { key: "/", bubbles: true }));
  const focused = document.activeElement === field;
  document.querySelectorAll("details").forEach((one) => { one.open = true; });
  document.querySelectorAll("button[data-view]").forEach((one) => one.click());
  await new Promise((done) => setTimeout(done, 3000));
  const images = [...document.images];
  const wide = [...document.querySelectorAll("main *")].filter(
    (one) => !one.closest(".scroll, pre") && one.getBoundingClientRect().right > innerWidth + 1
  );
  const asked = performance.getEntriesByType("resource").map((one) => one.name);
  const made = document.createElement("pre");
  made.id = "probe";
  made.textContent = JSON.stringify({
    wrong, closed, opened, title, nothing, focused,
    images: images.length,
    undrawn: images.filter((one) => !(one.complete && one.naturalWidth > 50)).map((o) => o.alt),
    frames: document.querySelectorAll("iframe").length,
    wide: wide.map((one) => one.outerHTML.slice(0, 80)),
    asked: asked.filter((name) => !name.startsWith("data:") && !name.startsWith("blob:")),
  });
  document.body.append(made);
});
</script>"""


def visit(page, folder, size):
    """Open a page, do what a reader does, and give what the browser says and its console."""
    text = page.read_text(encoding="utf-8")
    watched = text.replace("<body>", "<body>" + WATCH).replace("</body>", PROBE + "</body>")
    copy = folder / "page.html"
    copy.write_text(watched, encoding="utf-8")
    profile = f"--user-data-dir={folder / 'profile'}"
    command = [BROWSER, *OPTIONS, profile, f"--window-size={size}", "--dump-dom", copy.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    seen = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
    assert seen, done.stderr[-2000:]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(seen.group(1))), console


@pytest.fixture(scope="module")
def made(tiny, campaign, tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    build(tiny, folder, campaign)
    return folder


@pytest.mark.parametrize("size", ["1280,900", "500,900"])
def test_the_page_works_in_a_browser(made, tmp_path, size):
    seen, console = visit(made / "report.html", tmp_path, size)
    hints = ("WebGL", "GL Driver", "willReadFrequently")  # on speed, of the 3D view
    errors = [line for line in console if not any(hint in line for hint in hints)]
    assert errors == []
    assert seen["wrong"] == []
    assert seen["asked"] == []
    assert seen["undrawn"] == []
    assert seen["images"] == len(list((made / "figures").glob("*.png")))
    assert seen["frames"] == 1
    assert seen["wide"] == []
    assert seen["closed"]
    assert seen["opened"]
    assert seen["title"].startswith("Series: ambient")
    assert seen["nothing"] == "Nothing found."
    assert seen["focused"]


def test_a_page_with_a_mistake_is_noticed(made, tmp_path):
    text = (made / "report.html").read_text(encoding="utf-8")
    bad = '<img alt="no" src="https://localhost:9/x.png"><script>undefined_name</script></main>'
    (tmp_path / "bad.html").write_text(text.replace("</main>", bad), encoding="utf-8")
    seen, console = visit(tmp_path / "bad.html", tmp_path, "1280,900")
    assert any("undefined_name" in line for line in seen["wrong"])
    assert any(line.startswith("blocked https://localhost") for line in seen["wrong"])
    assert "no" in seen["undrawn"]
    assert console
