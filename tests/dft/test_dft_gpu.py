"""The route over a GPU, on GPAW's own stand-in for CuPy, which is NumPy."""

import ctypes
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from glassml.campaign.config.dft import Dft
from glassml.campaign.errors import ConfigError
from glassml.dft.calculation import calculate
from glassml.dft.libxc_cuda import CudaMetaGga, library, verify
from glassml.dft.radial import Sphere, values_and_slopes
from glassml.dft.settings import require_gpu

SETTINGS = {
    "cutoff_eV": 250.0,
    "kpoint_spacing_per_A": 3.0,
    "density_tolerance": 1e-6,
    "eigenstates_tolerance_eV2": 1e-10,
}


@pytest.fixture
def stishovite() -> Atoms:
    """A cell of stishovite, its atoms moved so that forces and shear stress are not zero."""
    cell = Atoms(
        "Si2O4",
        scaled_positions=[
            (0.0, 0.0, 0.0),
            (0.5, 0.5, 0.5),
            (0.306, 0.306, 0.0),
            (0.694, 0.694, 0.0),
            (0.194, 0.806, 0.5),
            (0.806, 0.194, 0.5),
        ],
        cell=(4.18, 4.18, 2.667),
        pbc=True,
    )
    cell.rattle(0.05, seed=3)
    return cell


@pytest.mark.slow
@pytest.mark.parametrize("xc", ["PBEsol", "LDA", "r2SCAN"])
def test_a_gpu_gives_the_label_of_a_cpu(stishovite, monkeypatch, xc, tmp_path):
    cpu, gpu = (Dft(xc=xc, gpu=on_gpu, **SETTINGS) for on_gpu in (False, True))
    expected = calculate(stishovite, cpu, log=tmp_path / "cpu.txt")
    # `gpaw` reads it when it is imported, which has happened by now.
    monkeypatch.setattr("gpaw.new.builder.GPAW_CPUPY", True)
    result = calculate(stishovite, gpu, log=tmp_path / "gpu.txt")
    assert "cupy" in (tmp_path / "gpu.txt").read_text(encoding="utf-8")
    assert result.energy == pytest.approx(expected.energy, abs=1e-5)
    np.testing.assert_allclose(result.forces, expected.forces, atol=2e-3)
    np.testing.assert_allclose(result.stress, expected.stress, atol=2e-5)
    assert result.scf["iterations"] > 3
    assert result.scf["log10_density"] < -4


def test_an_atom_alone_is_left_to_a_cpu(monkeypatch, tmp_path):
    """The code for a GPU takes spins as paired."""
    monkeypatch.setattr("gpaw.new.builder.GPAW_CPUPY", True)
    atom = Atoms("O", cell=[5.0, 5.2, 5.4], pbc=True)
    log = tmp_path / "gpu.txt"
    result = calculate(atom, Dft(xc="r2SCAN", gpu=True, **SETTINGS), log=log)
    assert "cupy" not in log.read_text(encoding="utf-8")
    assert result.energy == calculate(atom, Dft(xc="r2SCAN", **SETTINGS)).energy


def test_a_missing_gpu_is_refused_before_any_label(monkeypatch):
    monkeypatch.delenv("GPAW_CPUPY", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ConfigError, match=r"dft\.gpu: .*siteconfig"):
        require_gpu("PBEsol")


@pytest.mark.parametrize("symbol", ["Si", "O"])
def test_all_directions_of_a_sphere_at_once_give_gpaws_own_correction(symbol):
    from gpaw.setup import Setup
    from gpaw.setup_data import SetupData
    from gpaw.xc import XC

    xc = XC("MGGA_X_R2SCAN+MGGA_C_R2SCAN")
    setup = Setup(SetupData(symbol, "PBE"), XC("PBE"), lmax=2)
    density = np.array([setup.initialize_density_matrix(_occupations(setup))[0]])
    density += 0.02 * np.random.default_rng(4).normal(size=density.shape)
    expected, found = np.zeros_like(density), np.zeros_like(density)
    energy = xc.calculate_paw_correction(setup, density, expected)
    assert Sphere(xc, setup).correction(xc.kernel, density, found) == pytest.approx(
        energy, abs=1e-10
    )
    np.testing.assert_allclose(found, expected, atol=1e-10)
    assert np.abs(expected).max() > 1e-3


@pytest.mark.parametrize("angular_momentum", [0, 1, 2])
def test_splines_at_many_points_at_once_are_those_of_gpaw(angular_momentum):
    from gpaw.spline import Spline

    r = np.linspace(0.0, 2.3, 200)
    spline = Spline.from_data(angular_momentum, 2.3, np.exp(-(r**2)) * (1 - (r / 2.3) ** 2) ** 3)
    points = np.append(np.random.default_rng(1).uniform(0.0, 2.3, 1000), [0.0, 2.3, 3.0])
    expected = np.array([spline.get_value_and_derivative(point) for point in points])
    found = np.transpose(values_and_slopes(spline, points))
    np.testing.assert_allclose(found, expected, atol=1e-11)


def _occupations(setup):
    return setup.calculate_initial_occupation_numbers(magmom=0.0, hund=False, charge=0.0, nspins=1)


@pytest.fixture
def host_libxc(monkeypatch):
    """The libxc that GPAW runs on, as if it were one for CUDA: the arrays are on the host too."""
    import gpaw.xc  # noqa: F401  loads it

    maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    paths = {line.split()[-1] for line in maps.splitlines() if "libxc.so" in line}
    if not paths or not hasattr(ctypes.CDLL(min(paths)), "xc_func_set_fhc_enforcement"):
        pytest.skip("GPAW has no libxc 7 as a shared library")
    monkeypatch.setenv("GLASSML_LIBXC_CUDA", min(paths))


@pytest.mark.slow
def test_libxc_on_a_gpu_gives_the_label_too(stishovite, host_libxc, monkeypatch, tmp_path):
    cpu, gpu = (Dft(xc="r2SCAN", gpu=on_gpu, **SETTINGS) for on_gpu in (False, True))
    monkeypatch.setattr("gpaw.new.builder.GPAW_CPUPY", True)
    expected, result = (calculate(stishovite, dft, log=tmp_path / "log.txt") for dft in (cpu, gpu))
    assert result.energy == pytest.approx(expected.energy, abs=1e-5)
    np.testing.assert_allclose(result.forces, expected.forces, atol=2e-3)
    np.testing.assert_allclose(result.stress, expected.stress, atol=2e-5)


def test_a_libxc_on_a_gpu_that_gives_other_values_is_refused(host_libxc):
    from gpaw.xc import XC

    verify("r2SCAN")
    scan = XC("MGGA_X_SCAN+MGGA_C_SCAN").kernel
    with pytest.raises(ConfigError, match="GLASSML_LIBXC_CUDA: differs by"):
        CudaMetaGga(library(), "MGGA_X_R2SCAN+MGGA_C_R2SCAN", scan)
    with pytest.raises(ConfigError, match="does not have MGGA_X_NONE"):
        CudaMetaGga(library(), "MGGA_X_NONE+MGGA_C_SCAN", scan)
