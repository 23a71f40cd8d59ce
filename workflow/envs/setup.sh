#!/usr/bin/env bash
# Set up everything that glassml needs: system libraries, a virtual environment, the package.
# Usage: setup.sh PYTHON VENV
set -euo pipefail

python=$1
venv=$2
packages=(gcc g++ pkg-config libxc-dev libopenblas-dev libfftw3-dev)

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
    printf '#include <xc.h>\n#include <fftw3.h>\n#include <cblas.h>\nint main() { return 0; }\n' >"$folder/t.cpp"
    ! { command -v g++ && g++ "$folder/t.cpp" -o "$folder/t" -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu -lxc -lfftw3 -lopenblas; } >/dev/null 2>&1
}

if lacks_libraries; then
    line="apt-get update && apt-get install -y ${packages[*]}"
    command -v apt-get >/dev/null ||
        stop "GPAW needs a C++ compiler, libxc, OpenBLAS and FFTW with headers; or use conda: see environment.yml"
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
GPAW_CONFIG=$PWD/workflow/envs/gpaw_siteconfig.py "${pip[@]}" --editable '.[dev]'
"$venv/bin/glassml" doctor || stop "glassml doctor found something that fails: see above"
