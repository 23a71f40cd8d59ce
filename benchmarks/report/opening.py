"""How long a browser takes to open the page of a campaign.

    python benchmarks/report/opening.py [PAGE ...]

opens pages in headless Chromium: their size, milliseconds until the page was parsed and until it
was loaded, as the browser measures them, and seconds of a browser that starts, opens and draws the
page and ends, less those of one that opens an empty page; each the best of three, on a quiet
machine. Without a page, one of 100 states is made.
"""

import argparse
import html
import importlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

from glassml.report.build import build

TESTS = Path(__file__).parents[2] / "tests"
REPEATS = 3
PROBE = """<script>addEventListener("load", () => {
  const seen = performance.getEntriesByType("navigation")[0];
  const made = document.createElement("pre");
  made.id = "probe";
  made.textContent = JSON.stringify({parsed: seen.domInteractive, loaded: performance.now()});
  document.body.append(made);
});</script></body>"""


def make_page(folder: Path, states: int) -> Path:
    """Build the page of a campaign of many states from the records that the tests write."""
    sys.path[:0] = [str(TESTS), str(TESTS / "report")]
    records = importlib.import_module("report_campaign")
    for index in range(states - len(records.STATES)):
        name = f"cold_{index}"
        stage = records.npt("press", 300, [0, 1 + 0.1 * index])
        records.STATES[name] = {"parent": "ambient", "stages": [stage]}
        records.TRUTH[name] = records.TRUTH["cold_7.7GPa"]
    root = folder / "campaign"
    records.write_campaign(root, states=tuple(records.TRUTH))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        build(root, folder / "page", records.make_config())
    return folder / "page" / "report.html"


def browse(browser: str, folder: Path, url: str, *options: str) -> tuple[str, float]:
    """Open a page; give what the browser prints, and the seconds that it took."""
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", *options]
    command += [f"--user-data-dir={folder / 'profile'}", "--window-size=1280,900", url]
    begun = time.perf_counter()
    # Helpers of a browser may outlive it and hold a pipe open.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as printed:
        subprocess.run(command, stdout=printed, stderr=subprocess.DEVNULL, check=True, timeout=300)
        spent = time.perf_counter() - begun
        printed.seek(0)
        text = printed.read()
    return text, spent


def measure(browser: str, page: Path, folder: Path) -> None:
    """Print the size of a page and how long it takes to open."""
    text = page.read_text(encoding="utf-8")
    copy = folder / "probed.html"
    copy.write_text(text.replace("</body>", PROBE), encoding="utf-8")
    picture = f"--screenshot={folder / 'page.png'}"
    times, empty, spent = [], [], []
    for _ in range(REPEATS):
        printed, _ = browse(browser, folder, copy.as_uri(), "--dump-dom")
        seen = re.search(r'<pre id="probe">(.*?)</pre>', printed)
        times.append(json.loads(html.unescape(seen.group(1))))
        empty.append(browse(browser, folder, "about:blank", picture)[1])
        spent.append(browse(browser, folder, page.as_uri(), picture)[1])
    best = {name: min(one[name] for one in times) for name in times[0]}
    bare = re.sub(r'<script type="application/gzip".*?</script>', "", text, flags=re.DOTALL)
    sizes = [len(each.encode()) / 1e6 for each in (text, bare)]
    print(
        f"{page}: {sizes[0]:.1f} MB ({sizes[1]:.1f} without the 3D view), parsed after "
        f"{best['parsed']:.0f} ms, loaded after {best['loaded']:.0f} ms, "
        f"opened and drawn in {min(spent) - min(empty):.1f} s"
    )


def main() -> None:
    """Run from a command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", type=Path, nargs="*")
    parser.add_argument("--states", type=int, default=100)
    args = parser.parse_args()
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next((path for name in names if (path := shutil.which(name))), None)
    if browser is None:
        sys.exit("no Chromium here (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for page in args.pages or [make_page(folder, args.states)]:
            measure(browser, page.resolve(), folder)


if __name__ == "__main__":
    main()
