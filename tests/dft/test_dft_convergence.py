"""The convergence study: errors against the finest settings, by real calculations."""

import numpy as np
import pytest
from ase.spacegroup import crystal

from glassml.campaign.config.dft import Dft
from glassml.campaign.store import LabelStore
from glassml.dft.convergence import QUANTITIES, plot, study, variations

DFT = Dft(cutoff_eV=300, kpoint_spacing_per_A=10.0, density_tolerance=1e-4).model_dump(mode="json")


def test_variations_go_from_coarse_to_fine_and_include_production():
    found = variations(DFT, {"cutoff_eV": (500.0, 250.0), "kpoint_spacing_per_A": (1.0, 20.0)})
    assert [(item.parameter, item.value) for item in found] == [
        ("cutoff_eV", 250.0),
        ("cutoff_eV", 300.0),
        ("cutoff_eV", 500.0),
        ("kpoint_spacing_per_A", 20.0),
        ("kpoint_spacing_per_A", 10.0),
        ("kpoint_spacing_per_A", 1.0),
    ]
    assert all(item.dft["xc"] == "PBEsol" for item in found)


@pytest.mark.slow
def test_the_finest_has_no_error_and_a_coarser_cutoff_errs(tmp_path):
    stishovite = crystal(
        ["Si", "O"],
        [(0, 0, 0), (0.3062, 0.3062, 0)],
        spacegroup=136,
        cellpar=[4.179, 4.179, 2.666, 90, 90, 90],
    )
    squeezed = stishovite.copy()
    squeezed.set_cell(stishovite.cell * 0.97, scale_atoms=True)
    structures = {"stishovite": stishovite, "squeezed": squeezed}
    store = LabelStore(tmp_path)
    table = study(structures, DFT, {"cutoff_eV": (250.0,)}, store, processes=2)
    assert table["production"].tolist() == [False, False, True, True]
    finest = table[table["value"] == 300.0]
    assert (finest[list(QUANTITIES)] == 0).all().all()
    coarse = table[table["value"] == 250.0]
    assert (coarse["stress_max_GPa"] > 5).all()
    assert (coarse["force_max_eV_per_A"] > 0.1).all()
    assert np.isfinite(coarse["energy_difference_meV_per_atom"]).all()
    # A second study finds everything in the store.
    again = study(structures, DFT, {"cutoff_eV": (250.0,)}, store)
    assert again.equals(table)
    axes = plot(table).axes
    assert len(axes) == len(QUANTITIES)
    assert axes[-1].get_xlabel() == "plane-wave cutoff / eV"
    assert "GPa" in axes[-1].get_ylabel()
