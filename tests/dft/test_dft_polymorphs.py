"""Relaxations and equations of state, with a cheap potential and with real labels."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.eos import birchmurnaghan
from ase.optimize import BFGS
from ase.units import GPa

from glassml.campaign import functionals
from glassml.campaign.config.dft import Dft
from glassml.campaign.errors import StructureError
from glassml.campaign.store import LabelStore
from glassml.cli import main
from glassml.configurations.crystals import POLYMORPHS, deform, polymorph
from glassml.dft import calculation, polymorphs
from glassml.dft.equation_of_state import fit
from glassml.dft.plots import plot_polymorphs
from glassml.dft.relaxation import RelaxationError, relax_together
from glassml.dft.settings import kpoint_grid

NO_SHEAR = np.zeros((3, 3))


def _emt(structures):
    """Label with a cheap potential: what is tested here is what is done with labels."""
    records = []
    for structure in structures:
        atoms = structure.copy()
        atoms.set_constraint()
        atoms.calc = EMT()
        records.append(
            {
                "status": "converged",
                "energy": atoms.get_potential_energy(),
                "forces": atoms.get_forces().tolist(),
                "stress": atoms.get_stress().tolist(),
            }
        )
    return records


def test_a_relaxation_keeps_volume_and_symmetry_and_loses_shear():
    start = bulk("Cu", "hcp", a=2.6, c=4.6)
    (done,) = relax_together([start], _emt, fmax_eV_A=0.001)
    atoms = done.result()
    assert atoms.get_volume() == pytest.approx(start.get_volume(), rel=1e-9)
    lengths = atoms.cell.lengths()
    assert lengths[0] == pytest.approx(lengths[1], abs=1e-9)
    stress = np.array(_emt([atoms])[0]["stress"]) / GPa
    assert np.ptp(stress[:3]) < 0.01
    assert np.allclose(stress[3:], 0, atol=1e-9)
    assert lengths[2] / lengths[0] == pytest.approx(np.sqrt(8 / 3), abs=0.01)


def test_relaxations_side_by_side_end_where_each_alone_does():
    starts = [bulk("Cu", "hcp", a=2.6, c=c) for c in (4.0, 4.3, 4.7)]
    together = relax_together(starts, _emt, fmax_eV_A=0.001)
    for start, one in zip(starts, together, strict=True):
        (alone,) = relax_together([start], _emt, fmax_eV_A=0.001)
        assert np.array_equal(alone.result().positions, one.result().positions)


def test_positions_relax_to_what_ase_finds():
    start = bulk("Cu", "fcc", a=3.6, cubic=True)
    start.symbols[0] = "Au"
    (done,) = relax_together([start], _emt, fmax_eV_A=0.0005)
    free = start.copy()
    free.calc = EMT()
    BFGS(free, logfile=None).run(fmax=0.0005)
    assert done.record["energy"] <= free.get_potential_energy() + 1e-6


def test_what_does_not_come_to_rest_is_set_aside_and_the_others_go_on():
    slow, quick = bulk("Cu", "hcp", a=2.6, c=4.0), bulk("Cu", "fcc", a=3.6)
    refused = bulk("Al", "fcc", a=4.0)

    def label(structures):
        no = {"status": "refused", "reason": "too soft"}
        records = zip(structures, _emt(structures), strict=True)
        return [no if atoms.symbols[0] == "Al" else record for atoms, record in records]

    done = relax_together([slow, quick, refused], label, fmax_eV_A=1e-4, max_steps=1)
    reasons = ["not at rest after 1 steps", "", "refused: too soft"]
    assert [item.reason for item in done] == reasons
    assert [item.at_rest for item in done] == [False, True, False]


def test_a_polymorph_that_is_set_aside_is_named():
    start = bulk("Cu", "fcc", a=3.6)
    start.info = {"polymorph": "copper", "volume_ratio": 1.0}
    refused = [{"status": "refused", "reason": "too soft"}]
    with pytest.raises(RelaxationError, match="copper: refused: too soft"):
        polymorphs._relax([start], lambda _: refused, 0.01)


def test_the_fit_returns_what_made_the_curve_and_its_errors_grow_with_noise():
    volumes = np.linspace(34, 42, 7)
    exact = birchmurnaghan(volumes, -3.0, 37 * GPa, 6.0, 37.7)
    curve = fit(volumes.tolist(), exact.tolist())
    assert curve.volume == pytest.approx(37.7, abs=1e-4)
    assert curve.modulus == pytest.approx(37, abs=1e-2)
    assert curve.derivative == pytest.approx(6, abs=1e-2)
    assert curve.energy == pytest.approx(-3, abs=1e-6)
    noise = np.random.default_rng(1).normal(0, 0.001, 7)
    noisy = fit(volumes.tolist(), (exact + noise).tolist())
    assert noisy.volume_error > 100 * curve.volume_error
    assert abs(noisy.volume - 37.7) < 5 * noisy.volume_error
    assert abs(noisy.modulus - 37) < 5 * noisy.modulus_error
    assert 1e-4 < noisy.rms_eV < 2e-3


def test_a_curve_without_minimum_is_refused():
    volumes = np.linspace(44, 52, 7)
    energies = birchmurnaghan(volumes, -3.0, 37 * GPa, 4.0, 37.7)
    with pytest.raises(RelaxationError, match="no minimum"):
        fit(volumes.tolist(), energies.tolist())


@pytest.mark.parametrize("name", ["alpha_quartz", "coesite", "stishovite", "beta_cristobalite"])
def test_the_grid_stays_when_the_cell_changes(name):
    ideal = polymorph(name)
    dft = Dft()
    grid = kpoint_grid(ideal, dft.kpoint_spacing_per_A)
    for change in (-0.12, 0.0, 0.2):
        atoms = deform(ideal, change, NO_SHEAR)
        section = polymorphs.on_grid(atoms, grid, dft)
        assert kpoint_grid(atoms, section.kpoint_spacing_per_A) == grid
    flat = ideal.copy()
    flat.set_cell(ideal.cell[:] * [[1], [1], [9]], scale_atoms=True)
    with pytest.raises(StructureError, match="no spacing"):
        polymorphs.on_grid(flat, (1, 1, 9), dft)


@pytest.mark.parametrize("name", sorted(set(POLYMORPHS) - {"coesite", "moganite"}))
def test_the_conventional_cell_is_the_published_one(name):
    cell = polymorphs.conventional_cell(name, polymorph(name))
    assert cell == pytest.approx(POLYMORPHS[name].cell, abs=1e-6)
    bigger = polymorphs.conventional_cell(name, deform(polymorph(name), 0.331, NO_SHEAR))
    assert bigger[:3] == pytest.approx(np.array(POLYMORPHS[name].cell[:3]) * 1.1, rel=1e-4)


def test_a_start_between_points_at_rest_is_nearly_at_rest():
    ideal = bulk("Cu", "hcp", a=2.6, c=4.3)
    ideal.info = {"polymorph": "hcp"}
    ratios = (0.95, 1.0, 1.1)
    starts = [deform(ideal, ratio - 1.0, NO_SHEAR) for ratio in ratios]
    points = [
        polymorphs.Point("hcp", ratio, item.result(), item.record, item.steps)
        for ratio, item in zip(ratios, relax_together(starts, _emt, fmax_eV_A=1e-4), strict=True)
    ]
    start = polymorphs.between(points, 1.04)
    assert start.get_volume() == pytest.approx(1.04 * ideal.get_volume(), rel=1e-9)
    (warm,) = relax_together([start], _emt, fmax_eV_A=0.005)
    (cold,) = relax_together([deform(ideal, 0.04, NO_SHEAR)], _emt, fmax_eV_A=0.005)
    assert warm.steps == 0
    assert cold.steps >= 2
    # At a volume that is known it is what is known, and two points are enough for a line.
    known = polymorphs.between(points, 1.0)
    assert np.allclose(known.cell[:], points[1].atoms.cell[:])
    assert np.allclose(known.get_scaled_positions(), points[1].atoms.get_scaled_positions())
    assert polymorphs.between(points[:2], 1.3).get_volume() == pytest.approx(
        1.3 * ideal.get_volume(), rel=1e-9
    )


CAMPAIGN = """\
name: crystals
seed: 1
store: {store}
configurations: {{families: {{any: {{generator: dimer, count: 1}}}}}}
dft: {{polymorphs: {{names: [stishovite]}}}}
md: {{}}
"""


def _points(name):
    """Give points on a curve of a polymorph, the last at its minimum."""
    ideal = polymorph(name)
    units = len(ideal) / 3
    points = []
    for ratio in (0.92, 0.96, 1.0, 1.04, 1.08, 1.0):
        atoms = deform(ideal, ratio - 1.0, NO_SHEAR)
        volume = atoms.get_volume() / units
        energy = birchmurnaghan(volume, -30.0, 300 * GPa, 4.0, ideal.get_volume() / units)
        record = {
            "energy": units * energy,
            "forces": np.zeros((len(atoms), 3)).tolist(),
            "stress": [0.0] * 6,
            "settings": {"kpoints": [1, 1, 1], "xc": "r2SCAN"},
            "recipe": "standard",
        }
        points.append(polymorphs.Point(name, ratio, atoms, record, 3))
    return points[:-1], points[-1:]


def test_without_quartz_nothing_is_above_it(tmp_path, monkeypatch, capsys):
    points, minima = _points("stishovite")
    isolated = {"Si": -1.0, "O": -2.0}
    monkeypatch.setattr(polymorphs, "study", lambda *_, **__: (points, minima, isolated))
    (tmp_path / "config.yaml").write_text(CAMPAIGN.format(store=tmp_path / "store"))
    paths = ["--config", str(tmp_path / "config.yaml"), "--output-dir", str(tmp_path)]
    assert not main(["dft", "polymorphs", *paths])
    printed = capsys.readouterr().out
    assert printed.startswith("stishovite")
    assert printed.endswith("        - eV\n")
    assert "nan" not in printed
    assert "nan" not in (tmp_path / "polymorphs.csv").read_text()


def test_with_quartz_what_is_above_it_is_told():
    both = [_points(name) for name in ("alpha_quartz", "stishovite")]
    points, minima = ([*first, *second] for first, second in zip(*both, strict=True))
    rows = polymorphs.table(points, minima, {"Si": -1.0, "O": -2.0})
    assert [float(row["energy_above_quartz_eV_per_SiO2"]) for row in rows] == pytest.approx([0, 0])


def test_a_guide_that_is_not_there_is_refused(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(CAMPAIGN.format(store=tmp_path / "store"))
    paths = {"--config": "config.yaml", "--output-dir": ".", "--guide": "none.nequip.zip"}
    arguments = [part for key, name in paths.items() for part in (key, str(tmp_path / name))]
    assert main(["dft", "polymorphs", *arguments]) != 0
    assert "no such potential" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_a_study_by_real_labels_resumes_from_the_store(tmp_path, monkeypatch):
    # an atom in its usual box takes longer than all crystals of this test
    monkeypatch.setattr(polymorphs, "ISOLATED_BOX_A", polymorphs.ISOLATED_BOX_A / 1.5)
    dft = Dft(
        xc="PBEsol",  # the cheapest that has a minimum at this cutoff
        cutoff_eV=400,
        kpoint_spacing_per_A=2.4,
        density_tolerance=1e-3,
        max_atoms=6,
    )
    store = LabelStore(tmp_path)
    options = {"volume_step": 0.05, "fmax_eV_A": 0.1, "processes": 2}
    points, minima, isolated = polymorphs.study(("beta_cristobalite",), dft, store, **options)
    count = len(store.keys())
    again = polymorphs.study(("beta_cristobalite",), dft, store, **options)
    assert len(store.keys()) == count
    assert [point.energy for point in again[0]] == [point.energy for point in points]
    # The search went on until the minimum was enclosed by two volumes on either side.
    energies = [point.energy for point in points]
    assert 2 <= int(np.argmin(energies)) <= len(points) - 3
    (row,) = polymorphs.table(points, minima, isolated)
    assert set(row) == set(polymorphs.COLUMNS)
    assert 10 < float(row["atomisation_energy_eV_per_SiO2"]) < 30
    assert float(row["a_A"]) == pytest.approx(
        (8 * float(row["volume_A3_per_SiO2"])) ** (1 / 3), rel=1e-4
    )
    frames = polymorphs.labelled([*points, *minima])
    assert all("REF_energy" in atoms.info for atoms in frames)
    assert len(plot_polymorphs(points, minima).axes[0].lines) == 2


@pytest.mark.slow
def test_the_offset_of_foreign_setups_cancels(monkeypatch):
    dft = Dft(xc="PBEsol", cutoff_eV=500, kpoint_spacing_per_A=2.4)
    energy = {}
    for kind in ("PBE", "LDA"):
        monkeypatch.setattr(functionals, "setup_type", lambda _, kind=kind: kind)
        for name in ("stishovite", "beta_cristobalite"):
            energy[kind, name] = calculation.calculate(polymorph(name), dft).energy / 2
    shift = energy["PBE", "stishovite"] - energy["LDA", "stishovite"]
    other = energy["PBE", "beta_cristobalite"] - energy["LDA", "beta_cristobalite"]
    # The reference atoms of the setups are those of their own functional.
    assert abs(shift) > 10
    assert shift == pytest.approx(other, abs=0.003)
