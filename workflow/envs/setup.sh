#!/usr/bin/env bash
# Set up everything that glassml needs: system libraries, a virtual environment, the package.
# Usage: setup.sh PYTHON VENV
set -euo pipefail

python=$1
venv=$2
packages=(gcc g++ pkg-config libopenblas-dev libfftw3-dev)

stop() {
    printf '\nglassml set-up stopped: %s\n' "$1" >&2
    exit 1
}

"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
    stop "$("$python" --version 2>&1) will not do: install Python 3.11, 3.12 or 3.13, or name it: make PYTHON=python3.11 …"

# Ask the compiler, not the package manager: headers may come from elsewhere, conda for one.
lacks_libraries() {
    local folder
    folder=$(mktemp -d)
    printf '#include <fftw3.h>\n#include <cblas.h>\nint main() { return 0; }\n' >"$folder/t.cpp"
    ! { command -v g++ && g++ "$folder/t.cpp" -o "$folder/t" -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu -lfftw3 -lopenblas; } >/dev/null 2>&1
}

if lacks_libraries; then
    line="apt-get update && apt-get install -y ${packages[*]}"
    command -v apt-get >/dev/null ||
        stop "GPAW needs a C++ compiler, OpenBLAS and FFTW with headers; or use conda: see environment.yml"
    [ "$(id -u)" = 0 ] || stop "GPAW needs system libraries; run this once, then again what you ran:
    sudo sh -c '$line'"
    echo "Installing ${packages[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${packages[@]}" >/dev/null
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
echo "Installing the package and what it depends on into $venv (some minutes)"
"${pip[@]}" --upgrade pip wheel
# A torch without CUDA is enough and 3 GB smaller; where none is offered, the default one is taken.
"${pip[@]}" 'torch==2.13.0'
export GLASSML_LIBXC GPAW_CONFIG=$PWD/workflow/envs/gpaw_siteconfig.py
GLASSML_LIBXC=$(realpath "$venv")/libxc
"${pip[@]}" 'cmake>=3.25,<5' 'ninja>=1.11,<2'
"$venv/bin/python" workflow/envs/libxc.py "$GLASSML_LIBXC" || stop "libxc could not be compiled: see above"
# GPAW goes past pip's cache, which does not tell apart what it was compiled against.
gpaw_uses_our_libxc() {
    local compiled
    compiled=$("$venv/bin/python" -c 'import importlib.util as u; print(u.find_spec("_gpaw").origin)') &&
        ldd "$compiled" | grep -q "$GLASSML_LIBXC"
}
gpaw_uses_our_libxc 2>/dev/null ||
    "${pip[@]}" --no-cache-dir --force-reinstall --no-deps --no-binary gpaw 'gpaw>=26.7,<27'
"${pip[@]}" --editable '.[dev]'
"$venv/bin/glassml" doctor || stop "glassml doctor found something that fails: see above"
