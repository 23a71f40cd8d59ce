"""Compiling GPAW for GPUs: what is missing is named before anything is compiled."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ENVS = Path(__file__).parents[2] / "workflow" / "envs"


def _set_up(path, *arguments):
    command = ["bash", str(ENVS / "gpu.sh"), *map(str, arguments)]
    environment = os.environ | {"PATH": str(path)}
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)


@pytest.fixture
def tools(tmp_path):
    """Give a folder that is a PATH without CUDA, and one with a compiler that is never reached."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "dirname", "realpath", "mkdir", "sed"):
        (folder / name).symlink_to(shutil.which(name))
    with_cuda = tmp_path / "cuda"
    with_cuda.mkdir()
    for tool in folder.iterdir():
        (with_cuda / tool.name).symlink_to(tool.readlink())
    (with_cuda / "nvcc").write_text("#!/bin/bash\nexit 1\n")
    (with_cuda / "nvcc").chmod(0o755)
    return folder, with_cuda


def test_what_is_missing_is_named(tools, tmp_path):
    without, with_cuda = tools
    source = tmp_path / "gpaw"
    source.mkdir()
    said = _set_up(without, sys.executable)
    assert (said.returncode, "PYTHON SOURCE PREFIX" in said.stderr) == (1, True)
    said = _set_up(without, sys.executable, source, tmp_path / "gpu")
    assert (said.returncode, "nvcc is not on the PATH" in said.stderr) == (1, True)
    said = _set_up(with_cuda, sys.executable, source, tmp_path / "gpu")
    assert (said.returncode, f"{source} has no c/gpu/cpp" in said.stderr) == (1, True)


def test_a_table_of_functionals_is_shortened_or_refused(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ENVS)
    import libxc_cuda

    table = tmp_path / "funcs_mgga.c"
    head = "const xc_func_info_type *xc_mgga_known_funct[] = {"
    table.write_text(f'#include "util.h"\n{head}\n  &xc_func_info_mgga_x_scan,\n  NULL\n}};\n')
    libxc_cuda.keep_only(table, libxc_cuda.FUNCTIONALS)
    lines = table.read_text().splitlines()
    assert lines[3:] == [head, *(f"  &xc_func_info_mgga_{c}_r2scan," for c in "xc"), "  NULL", "};"]
    table.write_text("int main;")
    with pytest.raises(SystemExit, match=r"funcs_mgga\.c has no table"):
        libxc_cuda.keep_only(table, ())
    assert "#define XC_MAJOR_VERSION 7\n" in libxc_cuda.versions()
