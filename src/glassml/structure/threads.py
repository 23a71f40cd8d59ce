"""Threads of the compiled searches and transforms."""

import multiprocessing

import numba

# GNU OpenMP, numba's default here, hangs in a forked process, and MDAnalysis forks its workers.
if numba.config.THREADING_LAYER == "default":  # type: ignore[attr-defined]
    numba.config.THREADING_LAYER = "forksafe"  # type: ignore[attr-defined]


def thread_count() -> int:
    """Give the threads to use: those of `numba.set_num_threads`, and one in a worker process."""
    return 1 if multiprocessing.parent_process() is not None else numba.get_num_threads()
