"""Two time steps: the inner model's scheme, second order, the exact ensemble, refused if wrong."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import yaml
from ase import units
from pydantic import ValidationError

torch = pytest.importorskip("torch")

from barostats import (  # noqa: E402
    CASES,
    TEMPERATURE_K,
    VOLUME_A3,
    check_ensemble,
    exact_volume,
    gas,
)
from springs import Spring, VolumeSpring, argon  # noqa: E402

from glassml.campaign.config.md import MolecularDynamics  # noqa: E402
from glassml.campaign.errors import GlassmlError, Interrupted  # noqa: E402
from glassml.cli import main  # noqa: E402
from glassml.md.engines.batch import run_batch  # noqa: E402
from glassml.md.engines.respa import RespaEngine, TwoTimeSteps  # noqa: E402
from glassml.md.engines.torchmd import Batch, RampedBatch  # noqa: E402
from glassml.md.guards import Limits  # noqa: E402
from glassml.md.protocol import Coupling, Stage  # noqa: E402
from glassml.md.run import Job  # noqa: E402

COUPLING = Coupling(80.0, 200.0, 3.0)
FREE = Stage("free", "nve", 30, 8.0, None, None, 5, 5)
ENSEMBLES = [
    Stage("npt", "npt", 10, 8.0, (50.0, 80.0), (0.0, 0.5), 5, 5),
    Stage("nvt", "nvt", 10, 8.0, (50.0, 80.0), None, 5, 5),
    FREE,
]
OUTER, INNER = 1.0, 0.8


def two_steps(stage, *, inner=INNER, outer=OUTER, substeps=4, glasses=(1, 2)):
    atoms = [argon(seed) for seed in glasses]
    model = Spring(outer)
    model.place(atoms)
    return TwoTimeSteps(Batch(atoms, Spring(inner), 1), model, stage, COUPLING, substeps)


@pytest.mark.parametrize("stage", ENSEMBLES, ids=lambda stage: stage.name)
def test_with_one_model_it_is_that_model_with_the_inner_step(stage):
    moving = two_steps(stage, inner=OUTER)
    atoms = [argon(1), argon(2)]
    fine = replace(stage, steps=4 * stage.steps, timestep_fs=stage.timestep_fs / 4)
    alone = RampedBatch(Batch(atoms, Spring(OUTER), 1), fine, COUPLING)
    moving.advance(stage.steps)
    alone.advance(fine.steps)
    assert (moving.step, alone.step) == (stage.steps, fine.steps)
    for name in ("positions", "momenta", "cells"):
        pair = (getattr(each.batch, name) for each in (moving, alone))
        assert torch.allclose(*pair, rtol=1e-12, atol=1e-12), name
    assert torch.allclose(moving.energy, alone.energy, rtol=1e-12)


def test_the_error_of_energy_falls_with_the_square_of_the_step():
    scatter = []
    for timestep in (16.0, 8.0):
        steps = round(1600 / timestep)
        moving = two_steps(replace(FREE, steps=steps, timestep_fs=timestep))
        energies = []
        for _ in range(steps):
            moving.advance()
            kinetic = 0.5 * (moving.batch.momenta**2).sum(dim=1) / moving.batch.masses
            energies.append(float(kinetic.sum() + moving.energy.sum()))
        scatter.append(np.std(energies))
    assert scatter[0] / scatter[1] == pytest.approx(4.0, rel=0.25)


def test_what_is_sampled_is_the_outer_model():
    moving = two_steps(ENSEMBLES[0])
    moving.advance(3)
    found = moving.model(moving.batch.positions, moving.batch.cells)
    for name in ("energy", "forces", "stress"):
        assert torch.equal(getattr(moving, name), found[name]), name
        assert not torch.allclose(getattr(moving, name), getattr(moving.batch, name)), name


@pytest.mark.slow
@pytest.mark.parametrize(("bulk_modulus_GPa", "pressure_GPa"), CASES)
def test_volume_has_the_exact_mean_and_fluctuations(bulk_modulus_GPa, pressure_GPa):
    """Though the inner model is stiffer than the outer."""
    mean, variance = exact_volume(bulk_modulus_GPa, pressure_GPa)
    glasses = [gas(mean ** (1 / 3), seed) for seed in range(24)]
    stage = Stage("s", "npt", 5_000, 4.0, (TEMPERATURE_K,) * 2, (pressure_GPa,) * 2, 1, 1)
    coupling = Coupling(50.0, 100.0, bulk_modulus_GPa + pressure_GPa + 0.01)
    inner, outer = (
        VolumeSpring(modulus_GPa * units.GPa, VOLUME_A3)
        for modulus_GPa in (1.2 * bulk_modulus_GPa + 0.02, bulk_modulus_GPa)
    )
    outer.place(glasses)
    moving = TwoTimeSteps(Batch(glasses, inner, 3), outer, stage, coupling, 2)
    advance = partial(moving._advance, 1)
    check_ensemble(advance, moving.batch, stage.steps, 750, mean, variance)


def test_a_step_that_is_too_long_is_refused_where_the_stage_begins():
    moving = two_steps(replace(FREE, timestep_fs=200.0), substeps=16)
    with pytest.raises(GlassmlError, match=r"free: with steps of 200 fs.* leave out respa"):
        moving.advance()


@pytest.mark.parametrize("stage", ENSEMBLES, ids=lambda stage: stage.name)
def test_the_check_leaves_no_trace(stage):
    checked, other = two_steps(stage), two_steps(stage)
    before = {name: np.array(value) for name, value in checked.arrays().items()}
    checked._check()
    for name, value in checked.arrays().items():
        assert np.array_equal(value, before[name]), name
    checked.advance(3)
    other._advance(3)
    for name, value in checked.arrays().items():
        assert np.array_equal(value, other.arrays()[name]), name


def test_a_glass_that_leaves_does_not_disturb_the_others():
    moving, alone = two_steps(FREE), two_steps(FREE, glasses=(2,))
    moving.advance(5)
    moving.remove(0)
    moving.advance(5)
    alone.advance(10)
    for name in ("positions", "momenta"):
        pair = (getattr(each.batch, name) for each in (moving, alone))
        assert torch.allclose(*pair, rtol=1e-12, atol=1e-12), name


STAGES = (
    Stage("squeeze", "npt", 40, 8.0, (50.0, 60.0), (0.0, 0.3), 5, 10),
    Stage("free", "nve", 20, 8.0, None, None, 10, 20),
)


@pytest.mark.parametrize("failing", [115, 135, 250])
def test_an_interrupted_batch_goes_on_to_the_same_bytes(tmp_path, failing):
    limits = Limits(4.0, 0.5, (0.5, 5.0), 1.5)
    names = ("glass00", "glass01")
    jobs = {
        name: Job("cold", name, None, STAGES, COUPLING, limits, 7, 8, {}, {"sha256": "a"}, "torch")
        for name in names
    }

    def go(folder, failing=None):
        engine = RespaEngine(Spring(OUTER, failing=failing), Spring(INNER), 4)
        glasses = {name: argon(index) for index, name in enumerate(names)}
        return run_batch(jobs, glasses, engine, folder, show_progress=False)

    go(tmp_path / "whole")
    with pytest.raises(Interrupted):
        go(tmp_path / "cut", failing)
    go(tmp_path / "cut")
    for name in names:
        for file in ("series.csv", "final.extxyz", "restart.npz"):
            whole, cut = (tmp_path / each / name / file for each in ("whole", "cut"))
            assert whole.read_bytes() == cut.read_bytes()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"engine": "ase"}, "respa: needs engine torch"),
        ({"potential": "bks"}, "respa: needs engine torch and potential trained"),
        ({"composition": {"Ge": 1, "O": 2}}, "its pair potentials are for SiO2"),
        ({"timestep_fs": 8.0, "respa": None}, "longer than 4 fs; see md.respa"),
        ({"respa": {"steps": 1}}, "greater than or equal to 2"),
        ({"respa": {"potential": "vashishta"}}, "'shik', 'chik' or 'bks'"),
    ],
)
def test_what_two_time_steps_do_not_fit_is_refused(more, message):
    section = {"engine": "torch", "timestep_fs": 4.0, "respa": {"steps": 4}}
    with pytest.raises(ValidationError) as caught:
        MolecularDynamics.model_validate(section | more)
    assert message in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("inner", ["shik", "chik", "bks"])
def test_a_campaign_moves_a_glass_by_network_and_pair_potential(tmp_path, inner):
    hold = {"ensemble": "npt", "temperature_K": 600, "pressure_GPa": 0, "duration_ps": 0.04}
    md = {
        "engine": "torch",
        "glasses": 2,
        "atoms": 48,
        "timestep_fs": 2,
        "respa": {"potential": inner, "steps": 4},
        "sample_every_fs": 10,
        "frame_every_fs": 20,
        "start": "classical",
        "classical": {"melt_ps": 0.2, "quench": [{"end_K": 600, "rate_K_per_ps": 10_000}]},
        "states": {"ambient": {"stages": [{"name": "hold"} | hold]}},
    }
    path = tmp_path / "campaign.yaml"
    campaign = {"name": "two", "configurations": {"families": {}}, "md": md}
    path.write_text(yaml.safe_dump(campaign))
    command = ["md", "all", "--config", str(path), "--output-dir", str(tmp_path)]
    package = "resources/potential_small/m0.nequip.zip"
    assert main([*command, "--potential", package, "--device", "cpu"]) == 0
    record = json.loads((tmp_path / "ambient/glass01/record.json").read_text())
    assert record["status"] == "finished"
    assert record["steps"] == 20
    assert record["potential"]["respa"]["path"] == inner
    assert record["potential"]["respa"]["steps"] == 4
    assert record["potential"]["verification"]["respa"]["forces_eV_A"] < 1e-5
    series = pd.read_csv(tmp_path / "ambient/glass01/series.csv")
    assert series.time_fs.tolist() == [0.0, 10.0, 20.0, 30.0, 40.0]
