"""Compile libxc 7, with which meta-GGAs such as r2SCAN converge; once per machine.

Usage: libxc.py PREFIX, with the Python of the environment that is set up: it needs pip, cmake and
ninja. Debian's libxc 5 enforces the Fermi-hole curvature, with which the SCF of a meta-GGA runs
off; libxc 7 lets GPAW switch that off. Its source is in the archive of the package pylibxc7, whose
metadata pip refuses, so that the file is fetched and unpacked here. Archive and compiled library
are kept in the user's cache.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

PACKAGE, VERSION = "pylibxc7", "7.0.0"
SHA256 = "28e0c4a207672c5e7d95f0784173629194ad517e47d77bf0787dc82f8a28c5de"
FLAGS = [
    "-DCMAKE_BUILD_TYPE=Release",
    "-DCMAKE_C_FLAGS_RELEASE=-O2",
    "-DDISABLE_KXC=ON",  # third and fourth derivatives: most of the code, and never called
    "-DDISABLE_LXC=ON",
    "-DBUILD_SHARED_LIBS=ON",
    "-DBUILD_TESTING=OFF",
    "-DENABLE_FORTRAN=OFF",
    "-DCMAKE_POLICY_VERSION_MINIMUM=3.5",
    "-DCMAKE_INSTALL_LIBDIR=lib",
]


def main() -> None:
    """Put libxc below the folder PREFIX."""
    prefix = Path(sys.argv[1]).resolve()
    if (prefix / "lib" / "libxc.so").exists():
        return
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "glassml"
    recipe = "\n".join([SHA256, *FLAGS, platform.machine(), *platform.libc_ver()])
    compiled = cache / f"libxc-{VERSION}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if not compiled.exists():
        compile_into(compiled, fetch(cache))
    shutil.copytree(compiled, prefix, symlinks=True, dirs_exist_ok=True)


def fetch(cache: Path) -> Path:
    """Fetch the archive from where pip is configured to look, unless it is there already."""
    archive = cache / f"{PACKAGE}-{VERSION}.tar.gz"
    if archive.exists() and digest(archive) == SHA256:
        return archive
    from pip._internal.commands import create_command  # noqa: PLC0415

    command = create_command("download")
    options, _ = command.parser.parse_args([])
    with command._build_session(options) as session:  # noqa: SLF001
        finder = command._build_package_finder(options, session)  # noqa: SLF001
        links = [
            candidate.link
            for candidate in finder.find_all_candidates(PACKAGE)
            if candidate.link.filename == archive.name
        ]
        if not links:
            sys.exit(f"libxc: no package index that pip knows has {archive.name}")
        print(f"Fetching libxc {VERSION} (68 MB)", flush=True)
        content = session.get(links[0].url_without_fragment).content
    cache.mkdir(parents=True, exist_ok=True)
    part = archive.with_suffix(f".{os.getpid()}")
    part.write_bytes(content)
    if digest(part) != SHA256:
        part.unlink()
        sys.exit(f"libxc: {archive.name} is not the file that it should be: its hash differs")
    part.replace(archive)
    return archive


def digest(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def compile_into(folder: Path, archive: Path) -> None:
    """Compile and install into `folder`, which appears when it is whole."""
    print(f"Compiling libxc {VERSION}, once per machine (some minutes)", flush=True)
    start = time.monotonic()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        with tarfile.open(archive) as tar:
            tar.extractall(work, filter="data")
        source, build, staged = f"{work}/{PACKAGE}-{VERSION}", f"{work}/build", f"{work}/installed"
        tools = Path(sys.executable).parent
        configure = [tools / "cmake", "-S", source, "-B", build, "-G", "Ninja", *FLAGS]
        places = [
            f"-DCMAKE_INSTALL_PREFIX={staged}",
            f"-DCMAKE_MAKE_PROGRAM={tools / 'ninja'}",
            f"-DPYTHON_EXECUTABLE={sys.executable}",
        ]
        for line in ([*configure, *places], [tools / "cmake", "--build", build, "-t", "install"]):
            done = subprocess.run(line, check=False, capture_output=True, text=True)
            if done.returncode:
                sys.exit(
                    f"libxc: {' '.join(map(str, line))}\n{(done.stdout + done.stderr)[-3000:]}"
                )
        Path(staged).replace(folder)
    print(f"Compiled libxc {VERSION} in {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
