"""How GPAW is built from source: serial, since each label runs on one core, with FFTW."""

mpi = False
compiler = "g++"
fftw = True
libraries = ["xc", "openblas", "fftw3"]
