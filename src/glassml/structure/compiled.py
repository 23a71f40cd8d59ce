"""How compiled searches and transforms are run: their threads, and a cache that is never stale."""

import hashlib
import multiprocessing
from contextlib import suppress
from pathlib import Path

import numba

# GNU OpenMP, numba's default here, hangs in a forked process, and MDAnalysis forks its workers.
if numba.config.THREADING_LAYER == "default":  # type: ignore[attr-defined]
    numba.config.THREADING_LAYER = "forksafe"  # type: ignore[attr-defined]


def thread_count() -> int:
    """Give the threads to use: those of `numba.set_num_threads`, and one in a worker process."""
    return 1 if multiprocessing.parent_process() is not None else numba.get_num_threads()


def forget_stale_code(folder: Path) -> bool:
    """Remove compiled code from a package's cache if any of its modules changed; whether it did.

    Numba compiles a function anew when its own file has changed, but not when a function that it
    calls has, in another file.
    """
    changed = [(str(path), path.stat().st_mtime_ns) for path in sorted(folder.rglob("*.py"))]
    state = hashlib.sha256(repr((numba.__version__, changed)).encode()).hexdigest()
    mark = folder / "__pycache__" / "compiled.state"
    if mark.is_file() and mark.read_text(encoding="ascii") == state:
        return False
    # A package that cannot be written to has no cache of its own.
    with suppress(OSError):
        mark.parent.mkdir(exist_ok=True)
        for index in folder.rglob("*.nbi"):
            index.unlink(missing_ok=True)
        mark.write_text(state, encoding="ascii")
    return True


forget_stale_code(Path(__file__).parent)
