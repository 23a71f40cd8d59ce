"""The route over a GPU, on GPAW's own stand-in for CuPy, which is NumPy."""

import numpy as np
import pytest
from ase import Atoms

from glassml.campaign.config.dft import Dft
from glassml.campaign.errors import ConfigError
from glassml.dft.calculation import calculate
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
@pytest.mark.parametrize("xc", ["PBEsol", "LDA"])
def test_a_gpu_gives_the_label_of_a_cpu(stishovite, monkeypatch, xc, tmp_path):
    cpu, gpu = (
        Dft(xc=xc, gpu=on_gpu, **SETTINGS).model_dump(mode="json") for on_gpu in (False, True)
    )
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


def test_a_missing_gpu_is_refused_before_any_label(monkeypatch):
    monkeypatch.delenv("GPAW_CPUPY", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ConfigError, match=r"dft\.gpu: .*siteconfig"):
        require_gpu()


def test_a_meta_gga_on_a_gpu_is_refused():
    with pytest.raises(ValueError, match="no GPU code for meta-GGAs such as SCAN"):
        Dft(xc="SCAN", gpu=True)
