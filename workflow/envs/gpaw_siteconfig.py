"""How GPAW is built from source: serial, since each label runs on one core, with FFTW.

GLASSML_LIBXC names the folder of a libxc of our own; without it, the compiler finds one.
"""

import os

mpi = False
compiler = "g++"
fftw = True
libraries = ["xc", "openblas", "fftw3"]
if libxc := os.environ.get("GLASSML_LIBXC"):
    include_dirs = [f"{libxc}/include"]
    library_dirs = runtime_library_dirs = [f"{libxc}/lib"]
