#!/usr/bin/env bash
# Compile GPAW for NVIDIA GPUs, and r2SCAN of libxc for them: what `dft: {gpu: true}` takes.
# Usage: gpu.sh PYTHON SOURCE PREFIX [ARCHITECTURE]
#   PYTHON        of an environment that has NumPy, pybind11, cmake and ninja
#   SOURCE        GPAW 26.7 from its git: the archive on PyPI lacks the folder c/gpu/cpp
#   PREFIX        gets libxc/, libxc_cuda.so and GPAW's wheel
#   ARCHITECTURE  of the GPU, as sm_90; without it, that of the GPU in this machine
set -euo pipefail

stop() {
    printf '\nglassml GPU set-up stopped: %s\n' "$1" >&2
    exit 1
}

[ $# -ge 3 ] || stop "it takes PYTHON SOURCE PREFIX [ARCHITECTURE]"
here=$(cd "$(dirname "$0")" && pwd)
python=$1
source=$(realpath "$2")
mkdir -p "$3"
prefix=$(realpath "$3")
architecture=${4:-native}

command -v nvcc >/dev/null || stop "CUDA's nvcc is not on the PATH"
[ -f "$source/c/gpu/cpp/gpu_core.hpp" ] || stop "$source has no c/gpu/cpp: take GPAW 26.7 from its git"
"$python" -c 'import numpy, pybind11, setuptools' || stop "$python lacks what the line above names"
toolkit=$(realpath "$(nvcc --dryrun -x cu /dev/null -o /dev/null 2>&1 | sed -n 's/^#\$ TOP=//p')")
[ -f "$toolkit/include/cuda.h" ] || stop "no include/cuda.h in $toolkit, where nvcc is at home"
# The toolkit has cuBLAS, or NVIDIA's package of it does.
cublas=$("$python" - "$toolkit" <<'FIND'
import sys
from pathlib import Path

packages = [folder for path in sys.path[1:] for folder in Path(path).glob("nvidia/cu*")]
for home in (Path(sys.argv[1]), *packages):
    if (home / "include" / "cublas_v2.h").exists():
        print(home)
        break
FIND
)
[ -n "$cublas" ] || stop "no cublas_v2.h: install CUDA's cuBLAS, or nvidia-cublas by pip into $python"

"$python" "$here/libxc.py" "$prefix/libxc"
"$python" "$here/libxc_cuda.py" "$prefix/libxc_cuda.so" "$architecture"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$source/." "$work/gpaw"
# Without MPI, whose calls stand there unguarded. None is made by one process.
sed -i 's/^\( *\)MPI_Comm_size(bc->comm, &mpi_size);/\1mpi_size = 1;/' \
    "$work"/gpaw/c/gpu/{operators,transformers}.c
sed -i '/^ *MPI_Irecv(/,/;/d' "$work/gpaw/c/gpu/bc.c"
cat >"$work/siteconfig.py" <<CONFIG
mpi = False
compiler = "g++"
fftw = True
libraries = ["xc", "openblas", "fftw3", "cublas", "cudart"]
gpu = True
gpu_target = "cuda"
gpu_compiler = "nvcc"
gpu_compile_args = ["-O3", "-arch=$architecture"]
gpu_include_dirs = ["$cublas/include"]
include_dirs = ["$prefix/libxc/include", "$cublas/include", "$toolkit/include"]
library_dirs = ["$prefix/libxc/lib", "$work/lib"]
runtime_library_dirs = ["$prefix/libxc/lib", "$cublas/lib"]
CONFIG
# NVIDIA's packages have their libraries with a number behind, which no linker looks for.
mkdir "$work/lib"
for name in cublas cudart; do
    file=$(find -L "$cublas" "$toolkit" -name "lib$name.so*" 2>/dev/null | head -1)
    [ -n "$file" ] || stop "no lib$name.so in $cublas or $toolkit"
    ln -s "$file" "$work/lib/lib$name.so"
done
echo "Compiling GPAW for $architecture (some minutes)"
GPAW_CONFIG=$work/siteconfig.py "$python" -m pip wheel --quiet --no-deps --no-build-isolation \
    --wheel-dir "$prefix" "$work/gpaw" >"$prefix/gpaw.log" 2>&1 || {
    tail -30 "$prefix/gpaw.log" >&2
    stop "GPAW could not be compiled: $prefix/gpaw.log"
}
echo "To go on: $python -m pip install --no-deps --force-reinstall $prefix/gpaw-*.whl"
echo "          export GLASSML_LIBXC_CUDA=$prefix/libxc_cuda.so"
