"""Digests of the code behind a command: as `params` of a rule, they rerun what has to rerun.

A command depends on its own function, on the functions that this one calls beside it, and on every
module of the package that these import, wherever the import stands, and so on. Of these the syntax
trees are digested, so that comments, docstrings and the shape of lines change nothing.

Left out are `glassml.campaign.config`, whose values come to a rule as its `params`, and what says
who may write and how errors are told. Files of data beside a module count as part of it.
"""

import argparse
import ast
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from glassml.campaign.errors import GlassmlError
from glassml.campaign.files import write_json

PACKAGE = "glassml"
ROOT = Path(__file__).parents[1]
#: Modules, with all below them, that decide nothing of what is written.
WITHOUT_EFFECT = (
    "glassml.campaign.config",
    "glassml.campaign.errors",
    "glassml.campaign.running",
    "glassml.campaign.locks",
    "glassml.campaign.process",
    "glassml.campaign.signals",
    "glassml.campaign.trust",
    "glassml.campaign.why",
)
DATA_SUFFIXES = {".csv", ".css", ".html", ".js", ".json"}
_MENTION = re.compile(r"\bglassml(?:\.\w+)+")


@dataclass(frozen=True)
class Source:
    """A module: its file, and its syntax tree without docstrings."""

    name: str
    path: Path
    tree: ast.Module

    def definitions(self) -> dict[str, ast.stmt]:
        """Give what stands at the top by the names that it defines."""
        found: dict[str, ast.stmt] = {}
        for node in self.tree.body:
            for name in _names_defined(node):
                found[name] = node
        return found


def command_digest(command: str, unused: Iterable[str] = (), root: Path = ROOT) -> str:
    """Digest the code that a command depends on.

    Parameters
    ----------
    command
        Words after `glassml`, such as "md run".
    unused
        Modules that the command imports and that this campaign does not use, named below
        `glassml`: these, and what only they import, are left out.
    root
        Folder of the package.

    Returns
    -------
    str
        Sixteen hexadecimal digits.

    Raises
    ------
    GlassmlError
        If there is no such command, or no such module.
    """
    return _digest(command, tuple(sorted(unused)), root)


@cache
def _digest(command: str, unused: tuple[str, ...], root: Path) -> str:
    """Take the digest from the user's cache, or make it: each job of a campaign asks for all."""
    kept, key = _kept(root), " without ".join((command, *unused))
    if key not in kept:
        digest = hashlib.sha256()
        for _, name, content in _contents(command, unused, root):
            digest.update(name.encode() + content)
        kept[key] = digest.hexdigest()[:16]
        with suppress(OSError):
            write_json(_memory(root), {"package": _package_digest(root), "digests": kept})
    return kept[key]


@cache
def _kept(root: Path) -> dict[str, str]:
    """Give the digests that earlier processes made of this very package."""
    try:
        memory = json.loads(_memory(root).read_text(encoding="utf-8"))
        current = memory["package"] == _package_digest(root)
        return {key: str(digest) for key, digest in memory["digests"].items() if current}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


@cache
def _package_digest(root: Path) -> str:
    """Digest all files of the package as they are, and the Python that reads their syntax."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(root.rglob("*")):
        if path.suffix in {".py", *DATA_SUFFIXES}:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root)} {len(content)} ".encode() + content)
    return digest.hexdigest()


def _memory(root: Path) -> Path:
    """Give the file that keeps the digests of a package from one process to the next."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / PACKAGE
    return folder / f"digests-{hashlib.sha256(str(root).encode()).hexdigest()[:16]}.json"


def command_texts(command: str, unused: Iterable[str] = (), root: Path = ROOT) -> dict[str, str]:
    """Give what `command_digest` digests, as text by where it stands.

    Parameters, errors: as `command_digest`.
    """
    contents = _contents(command, tuple(sorted(unused)), root)
    return {place: content.decode() for place, _, content in contents}


def _contents(
    command: str, unused: tuple[str, ...], root: Path
) -> Iterator[tuple[str, str, bytes]]:
    """Give what a command depends on: where it stands, its name in the digest, and itself."""
    names, pieces = modules_of(command, unused, root)
    yield "command lines", "", "\n".join(pieces).encode()
    for name in names:
        yield name, name, _module_text(name, root).encode()
        for path in _data(_source(name, root)):
            yield f"{name}: {path.name}", path.name, path.read_bytes()


def modules_of(
    command: str, unused: Iterable[str] = (), root: Path = ROOT
) -> tuple[list[str], list[str]]:
    """Give the modules that a command depends on, and the text of its functions.

    Parameters, errors: as `command_digest`.

    Returns
    -------
    list, list
        Names of modules, sorted; functions and constants of command lines, as text.
    """
    left_out = {f"{PACKAGE}.{name}" for name in unused}
    if missing := sorted(name for name in left_out if _path(name, root) is None):
        raise GlassmlError(f"no such module: {', '.join(missing)}")
    modules: set[str] = set()
    pieces: dict[tuple[str, str], str] = {}
    waiting: list[tuple[str, str]] = [_function(command)]
    while waiting:
        module, name = waiting.pop()
        if _matters(module) and module not in left_out:
            if _is_command_line(module):
                waiting += _follow(module, name, pieces, root)
            elif module not in modules:
                modules.add(module)
                waiting += _module_imports(module, root)
    return sorted(modules), [pieces[key] for key in sorted(pieces)]


def _function(command: str) -> tuple[str, str]:
    """Give the module and the name of the function behind a command."""
    parser = _parser()
    for word in command.split():
        branches = [
            action.choices
            for action in parser._actions  # noqa: SLF001  (argparse has no other way in)
            if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
        ]
        if not branches or word not in branches[0]:
            raise GlassmlError(f"glassml {command}: there is no such command")
        parser = branches[0][word]
    run = parser.get_default("run")
    if run is None:
        raise GlassmlError(f"glassml {command}: that is not the whole of a command")
    return run.__module__, run.__name__


@cache
def _parser() -> argparse.ArgumentParser:
    from glassml.cli import build_parser  # noqa: PLC0415  (it imports every stage)

    return build_parser()


def _follow(
    module: str, name: str, pieces: dict[tuple[str, str], str], root: Path
) -> list[tuple[str, str]]:
    """Take up a definition of a command line, and give what it names and imports."""
    source = _source(module, root)
    known = source.definitions()
    if (module, name) in pieces or name not in known:
        return []
    node = known[name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [pair for pair in _imports(node, root) if pair[1] in ("", name)]
    pieces[module, name] = _text(node)
    used = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return [*_imports(node, root), *((module, other) for other in used if other in known)]


@cache
def _module_imports(module: str, root: Path) -> list[tuple[str, str]]:
    return list(_imports(_source(module, root).tree, root))


def _imports(tree: ast.AST, root: Path) -> Iterator[tuple[str, str]]:
    """Give the modules of the package that a tree imports, and the names that it takes of them."""
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from ((each, "") for each in _with_parents(alias.name, root))
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                if _path(below, root) is not None:
                    yield from ((each, "") for each in _with_parents(below, root))
                else:
                    parents = _with_parents(node.module, root)
                    yield from ((each, alias.name) for each in parents)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # code of other processes, and classes that are named to other libraries
            for mention in _MENTION.findall(node.value):
                yield from ((each, "") for each in _with_parents(mention, root))


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk through a tree, but not into what is for type checkers alone."""
    if isinstance(tree, ast.If) and getattr(tree.test, "id", "") == "TYPE_CHECKING":
        return
    yield tree
    for child in ast.iter_child_nodes(tree):
        yield from _executed(child)


def _with_parents(name: str, root: Path) -> list[str]:
    """Give a module and the packages that it is in, the outermost apart, or nothing."""
    parts = name.split(".")
    if parts[0] != PACKAGE:
        return []
    every = [".".join(parts[:end]) for end in range(2, len(parts) + 1)]
    return [each for each in every if _path(each, root) is not None]


def _matters(module: str) -> bool:
    return not any(module == each or module.startswith(f"{each}.") for each in WITHOUT_EFFECT)


def _is_command_line(module: str) -> bool:
    return module.endswith(("cli", "md.jobs"))


@cache
def _path(module: str, root: Path) -> Path | None:
    place = root.joinpath(*module.split(".")[1:])
    return next(
        (path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None
    )


@cache
def _source(module: str, root: Path) -> Source:
    path = _path(module, root)
    assert path is not None, module
    # a mistake in the code is told with the file's name
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return Source(module, path, _without_docstrings(tree))


def _data(source: Source) -> list[Path]:
    """Give the files of data of a package, which its `__init__` stands for."""
    if source.path.name != "__init__.py":
        return []
    folder = source.path.parent
    places = [folder, *(each for each in folder.iterdir() if not (each / "__init__.py").exists())]
    return sorted(
        path
        for place in places
        if place.is_dir()
        for path in place.iterdir()
        if path.suffix in DATA_SUFFIXES
    )


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [each for each in body if not _is_text(each)] or [ast.Pass()]  # type: ignore[attr-defined]
    return tree


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _names_defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [each.id for each in targets if isinstance(each, ast.Name)]


@cache
def _module_text(module: str, root: Path) -> str:
    return _text(_source(module, root).tree)


def _text(node: ast.AST) -> str:
    """Write a tree as text that does not depend on how it was laid out."""
    return ast.unparse(node)
