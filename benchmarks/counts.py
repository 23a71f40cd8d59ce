"""Count what keeps a house in order: python benchmarks/counts.py.

Lines of code and of tests by stage, modules that import each other in circles (also by imports
within functions), the longest files, places that share six lines or more, and how many lines of the
documents are too long.
"""

import ast
import re
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.sparse.csgraph import connected_components

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "glassml"
FOLDERS = ("src", "workflow", "tests", "benchmarks", "examples")
WIDTH = 100
SHARED = 6  # lines in a row that are the same but for how far they are indented


def lines(paths):
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)


def by_stage():
    for folder in sorted(path for path in SOURCE.iterdir() if (path / "__init__.py").exists()):
        rules = ROOT / "workflow" / "rules"
        name = folder.name
        code = lines(folder.rglob("*.py"))
        tests = lines((ROOT / "tests" / name).rglob("*.py"))
        print(
            f"{name:16}{code:7}{tests:7}"
            f"{lines([*rules.glob(f'{name}.smk'), *(rules / name).glob('*.smk')]):7}"
        )


def modules():
    """Give the modules of the package by name; a package is its `__init__`."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def circles():
    found = modules()
    names = sorted(found)
    graph = np.zeros((len(names), len(names)), bool)
    for row, name in enumerate(names):
        for other in imported(found[name]):
            if other in found and other != name:
                graph[row, names.index(other)] = True
    _, groups = connected_components(graph, connection="strong")
    for group in np.flatnonzero(np.bincount(groups) > 1):
        print("circle:", ", ".join(names[k] for k in np.flatnonzero(groups == group)))


def programs():
    files = [path for name in FOLDERS for path in sorted((ROOT / name).rglob("*"))]
    return [path for path in files if path.suffix in {".py", ".smk"}]


def longest(number=5):
    code = programs()
    for path in sorted(code, key=lambda path: -lines([path]))[:number]:
        print(f"{lines([path]):7}  {path.relative_to(ROOT)}")


def blank(match):
    return "\n" * match.group().count("\n")


def doubles():
    """List the pairs of places that share lines; imports, remarks and closing brackets aside."""
    found = {}
    for path in programs():
        text = path.read_text(encoding="utf-8")
        # names of an import stand on lines of their own where they are many
        text = re.sub(r"^from [\w.]+ import \([^)]*\)", blank, text, flags=re.MULTILINE)
        numbered = enumerate(map(str.strip, text.splitlines()), 1)
        skipped = ("#", "import ", "from ", '"""')
        rows = [(n, row) for n, row in numbered if len(row) > 3 and not row.startswith(skipped)]
        for k in range(len(rows) - SHARED + 1):
            key = tuple(row for _, row in rows[k : k + SHARED])
            found.setdefault(key, []).append((path.relative_to(ROOT), k, rows[k][0]))
    pairs = {
        (one, k, other, m): (n, number)
        for places in found.values()
        for (one, k, n), (other, m, number) in combinations(places, 2)
    }
    first = [each for each in pairs if (each[0], each[1] - 1, each[2], each[3] - 1) not in pairs]
    print(f"{len(first)} pairs of places share {SHARED} lines or more")
    for one, k, other, m in sorted(first):
        here, there = pairs[one, k, other, m]
        print(f"  {one}:{here}  {other}:{there}")


def documents():
    pages = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "resources").rglob("*.md"),
    ]
    texts = {path: path.read_text(encoding="utf-8").splitlines() for path in pages}
    long = [line for text in texts.values() for line in text if len(line) > WIDTH]
    tables = sum(line.startswith("|") for line in long)
    print(
        f"{len(pages)} pages, {sum(map(len, texts.values()))} lines; of more than {WIDTH} "
        f"characters {len(long)}, {tables} of them rows of tables"
    )


def main():
    print(f"{'stage':16}{'code':>7}{'tests':>7}{'rules':>7}")
    by_stage()
    circles()
    longest()
    doubles()
    documents()


if __name__ == "__main__":
    main()
