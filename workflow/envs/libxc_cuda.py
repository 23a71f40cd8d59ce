"""Compile r2SCAN's two parts of libxc 7 for NVIDIA GPUs: what `GLASSML_LIBXC_CUDA` names.

Usage: libxc_cuda.py LIBRARY ARCHITECTURE, as libxc_cuda.so sm_90. It takes CUDA's nvcc. libxc's own
build has an option for CUDA, which compiles all of its 600 functionals; one is needed, in a minute.
Other meta-GGAs are refused by name when they are asked for, and so is a library that does not give
the values of the one on the host.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from libxc import PACKAGE, VERSION, fetch

FUNCTIONALS = ("mgga_x_r2scan", "mgga_c_r2scan")
SOURCES = (
    *("functionals", "func_info", "func_reference", "hybrids", "gga", "lda", "mgga", "mix_func"),
    *("deorbitalize_func", "references", "special_functions", "math_brent", "util", "version"),
    *FUNCTIONALS,
)
FLAGS = [
    *("-x", "cu", "-rdc=true", "-O2", "-w", "-DHAVE_CONFIG_H", "-I."),
    # Second derivatives and higher are never called.
    *(f"-DXC_DONT_COMPILE_{order}XC" for order in "FKL"),
]
CONFIG = f"""#define PACKAGE_VERSION "{VERSION}"
#define ENABLE_CUDA 1
#define HAVE_CUDA 1
#include <stdio.h>
"""


def main() -> None:
    """Put the library where the first argument says."""
    library, architecture = Path(sys.argv[1]).resolve(), sys.argv[2]
    if library.exists():
        return
    nvcc = shutil.which("nvcc") or sys.exit("libxc_cuda: CUDA's nvcc is not on the PATH")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "glassml"
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as work:
        with tarfile.open(fetch(cache)) as tar:
            tar.extractall(work, filter="data")
        source = Path(work) / f"{PACKAGE}-{VERSION}" / "src"
        (source / "config.h").write_text(CONFIG)
        (source / "xc_version.h").write_text(versions())
        for family in ("lda", "gga", "mgga"):
            for kind in (family, f"hyb_{family}"):
                keep_only(source / f"funcs_{kind}.c", FUNCTIONALS if kind == "mgga" else ())
        command = [nvcc, f"-arch={architecture}", "-Xcompiler", "-fPIC"]
        compiled = [*command, *FLAGS]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            lines = ([*compiled, "-c", f"{name}.c", "-o", f"{name}.o"] for name in SOURCES)
            list(pool.map(lambda line: run(line, source), lines))
        objects = [f"{name}.o" for name in SOURCES]
        run([*command, "-shared", "-o", "libxc_cuda.so", *objects, "-lm"], source)
        (source / "libxc_cuda.so").replace(library)


def versions() -> str:
    """Give the header that libxc's build writes."""
    numbers = zip(("MAJOR", "MINOR", "MICRO"), VERSION.split("."), strict=True)
    lines = [f"#define XC_{name}_VERSION {number}" for name, number in numbers]
    return "\n".join([f'#define XC_VERSION "{VERSION}"', *lines, ""])


def keep_only(path: Path, names: tuple[str, ...]) -> None:
    """Shorten a table of functionals to these."""
    table = re.search(r"(const )?xc_func_info_type \*xc_\w+_known_funct\[\] = {", path.read_text())
    if table is None:
        sys.exit(f"libxc_cuda: {path.name} has no table of functionals: is this libxc {VERSION}?")
    declared = [f"extern xc_func_info_type xc_func_info_{name};" for name in names]
    entries = [f"  &xc_func_info_{name}," for name in names]
    lines = ['#include "util.h"', *declared, table[0], *entries, "  NULL", "};", ""]
    path.write_text("\n".join(lines))


def run(line: list[str], folder: Path) -> None:
    """Run a command, or end with what it printed."""
    done = subprocess.run(line, check=False, capture_output=True, text=True, cwd=folder)
    if done.returncode:
        sys.exit(f"libxc_cuda: {' '.join(line)}\n{(done.stdout + done.stderr)[-3000:]}")


if __name__ == "__main__":
    main()
