"""The convergence study: errors against the finest settings, by real calculations."""

import pytest
from ase.spacegroup import crystal

from glassml.campaign.config.dft import Dft
from glassml.campaign.store import LabelStore
from glassml.dft.convergence import COLUMNS, study, variations
from glassml.dft.plots import QUANTITIES, plot_convergence

DFT = Dft(xc="PBEsol", cutoff_eV=300, kpoint_spacing_per_A=10.0, density_tolerance=1e-4)


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
    assert all(item.dft.xc == "PBEsol" for item in found)


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
    rows = study(structures, DFT, {"cutoff_eV": (250.0,)}, store, processes=2)
    assert [row["production"] for row in rows] == [False, False, True, True]
    assert all(set(row) <= set(COLUMNS) for row in rows)
    coarse, finest = rows[:2], rows[2:]
    errors = ("energy_meV_per_atom", "force_max_eV_per_A", "stress_max_GPa")
    assert all(row[name] == 0 for row in finest for name in errors)
    assert all(row["stress_max_GPa"] > 5 for row in coarse)
    assert all(row["force_max_eV_per_A"] > 0.1 for row in coarse)
    # What the structures have in common cancels; the first has nothing to be compared with.
    assert "energy_difference_meV_per_atom" not in coarse[0]
    difference = coarse[1]["energy_difference_meV_per_atom"]
    absolute = [row["energy_meV_per_atom"] for row in coarse]
    assert difference == pytest.approx(absolute[1] - absolute[0], rel=1e-4)
    assert abs(difference) < abs(absolute[0])
    # A second study finds everything in the store.
    assert study(structures, DFT, {"cutoff_eV": (250.0,)}, store) == rows
    axes = plot_convergence(rows).axes
    assert len(axes) == len(QUANTITIES)
    assert axes[-1].get_xlabel() == "plane-wave cutoff / eV"
    assert "GPa" in axes[-1].get_ylabel()
