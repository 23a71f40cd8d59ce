"""Protocols: what is refused before anything runs, and with which words."""

import re
from argparse import Namespace

import pytest
from pydantic import ValidationError

from glassml.campaign.config import parse_campaign
from glassml.campaign.config.md import ClassicalStart, MolecularDynamics, Ramp
from glassml.campaign.errors import ConfigError, GlassmlError
from glassml.md.jobs import build_stages, check_committee, control
from glassml.md.quench import student_stages
from glassml.md.start import quench_segments, quench_stages

HOLD = {
    "name": "hold",
    "ensemble": "npt",
    "temperature_K": 300,
    "pressure_GPa": 0,
    "duration_ps": 1,
}


def section(stages=None, **values):
    return {"states": {"ambient": {"stages": stages or [HOLD]}}} | values


BAD = {
    "negative duration": (section([HOLD | {"duration_ps": -5}]), "greater than 0"),
    "rate without a ramp": (
        section([{**HOLD, "duration_ps": None, "rate_K_per_ps": 10}]),
        "its length is zero",
    ),
    "a committee of torch-sim": (
        section(engine="torchsim", guards={"max_force_spread_eV_A": 1}),
        "torchsim",
    ),
    "a committee of lammps": (
        section(engine="lammps", guards={"max_force_spread_eV_A": 1}),
        "needs engine ase or torch",
    ),
    "a published potential that the engine cannot move": (
        section(engine="torch", potential="tersoff"),
        "potential: tersoff needs engine lammps",
    ),
    "a published potential with the engine of networks": (
        section(potential="shik"),
        "potential: shik needs engine torch or lammps",
    ),
    "a published potential for other elements": (
        section(engine="lammps", potential="bks", composition={"Ge": 1, "O": 2}),
        "bks is for SiO2",
    ),
    "negative spread": (section(guards={"max_force_spread_eV_A": -1}), "greater than 0"),
    "negative temperature": (section([HOLD | {"temperature_K": -300}]), "greater than 0"),
    "unit missing": (section([HOLD | {"pressure": 1}]), "Extra inputs are not permitted"),
    "npt without pressure": (section([HOLD | {"pressure_GPa": None}]), "needs pressure_GPa"),
    "nvt with pressure": (section([HOLD | {"ensemble": "nvt"}]), "keeps its volume"),
    "nve with temperature": (section([HOLD | {"ensemble": "nve"}]), "keeps its energy"),
    "unknown parent": (
        {"states": {"cold": {"parent": "ambiant", "stages": [HOLD]}}},
        "'ambiant' is no state",
    ),
    "a state called like a glass": (
        {"states": {"cold/glass01": {"stages": [HOLD]}}},
        "name a glass, not a state",
    ),
    "a name that leaves its folder": ({"states": {"../cold": {"stages": [HOLD]}}}, "no name of a"),
    "two stages of one name": (section([HOLD, HOLD]), "two stages have the same name: hold"),
    "no stages": ({"states": {"ambient": {"stages": []}}}, "at least 1 item"),
    "less than a formula unit": (section(atoms=100), "not a multiple of a formula unit's 3"),
    "shorter than a step": (
        section([HOLD | {"duration_ps": 0.0005}]),
        "shorter than one time step",
    ),
    "sampling faster than the step": (section(sample_every_fs=0.5), "less than the step"),
    "window upside down": (section(guards={"density_g_cm3": [6, 1]}), "not a window of densities"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_protocol_is_refused_with_its_reason(case):
    data, message = BAD[case]
    with pytest.raises(ValidationError) as caught:
        MolecularDynamics.model_validate(data)
    assert message in str(caught.value)


def test_resolved_section_reads_back_the_same():
    section = MolecularDynamics()
    assert MolecularDynamics.model_validate(section.model_dump(mode="json")) == section


def test_ramp_length_follows_from_its_rate():
    section = MolecularDynamics()
    quench = next(s for s in section.states["ambient"].stages if s.name == "quench")
    assert quench.length_ps() == pytest.approx((4000 - 300) / 10)
    assert section.steps("cold_7.7GPa") == round(7.7 / 0.2 * 1000) + 20_000


def test_lineage_runs_from_the_melt():
    section = MolecularDynamics()
    assert section.lineage("hot_7.7GPa_1800K/recovered") == [
        "ambient",
        "cold_7.7GPa",
        "hot_7.7GPa_1800K",
        "hot_7.7GPa_1800K/recovered",
    ]


def test_stages_are_counted_in_steps_of_their_own_length():
    section = MolecularDynamics.model_validate(
        {
            "timestep_fs": 1.0,
            "sample_every_fs": 10,
            "frame_every_fs": 100,
            "states": {"ambient": {"stages": [HOLD | {"timestep_fs": 0.5, "sample_every_fs": 20}]}},
        }
    )
    (stage,) = build_stages(section, "ambient")
    assert (stage.steps, stage.sample_every, stage.frame_every) == (2000, 40, 200)
    assert stage.length_fs() == pytest.approx(1000.0)
    assert section.steps("ambient") == stage.steps


def test_ramps_are_linear_and_end_where_they_should():
    section = MolecularDynamics()
    quench = build_stages(section, "ambient")[2]
    assert quench.temperature_at(0) == pytest.approx(4000.0)
    assert quench.temperature_at(quench.steps // 2) == pytest.approx(2150.0)
    assert quench.temperature_at(quench.steps) == pytest.approx(300.0)
    assert quench.pressure_at(7) == pytest.approx(0.0)


def test_a_guard_by_a_committee_that_is_not_given_is_refused():
    section = MolecularDynamics.model_validate({"guards": {"max_force_spread_eV_A": 1}})
    with pytest.raises(GlassmlError, match="needs --committee"):
        check_committee(section, Namespace(committee=[]))
    check_committee(section, Namespace(committee=["m1.nequip.zip"]))
    assert section.committee_members(3) == [1, 2]
    assert MolecularDynamics().committee_members(3) == []


@pytest.mark.parametrize(
    ("engine", "configured", "asked", "expected"),
    [
        ("torch", "trained", "shik", "shik"),
        ("lammps", "vashishta", "vashishta", "vashishta"),
        ("lammps", "trained", "m0/model.nequip.zip", None),
    ],
)
def test_a_published_potential_is_asked_for_by_its_name(engine, configured, asked, expected):
    md = MolecularDynamics.model_validate({"engine": engine, "potential": configured})
    assert control(md, Namespace(potential=asked)) == expected


@pytest.mark.parametrize(
    ("engine", "configured", "asked", "message"),
    [
        ("ase", "trained", "shik", "needs md.engine torch or lammps, not ase"),
        ("lammps", "bks", "m0/model.nequip.zip", "the configuration has md.potential bks"),
    ],
)
def test_a_potential_that_does_not_fit_is_refused(engine, configured, asked, message):
    md = MolecularDynamics.model_validate({"engine": engine, "potential": configured})
    with pytest.raises(GlassmlError, match=message):
        control(md, Namespace(potential=asked))


def melts(**states):
    """Give a section with melts that begin under these pressures; None: at constant volume."""
    hold = {"name": "hold", "temperature_K": 300, "duration_ps": 1}
    stages = {
        name: hold | ({"ensemble": "nvt"} if p is None else {"ensemble": "npt", "pressure_GPa": p})
        for name, p in states.items()
    }
    listed = {name: {"stages": [stage]} for name, stage in stages.items()}
    later = {"parent": next(iter(listed)), "stages": [hold | {"ensemble": "nvt"}]}
    section = {"start": "classical", "states": listed | {"later": later}}
    return MolecularDynamics.model_validate(section)


def test_a_classical_melt_is_quenched_under_the_pressure_at_which_its_state_begins():
    md = melts(fixed=None, rest=0, pressed=7.7, ramped=[4, 12], again=7.7)
    assert md.start_pressures() == ["0", "7.7", "4"]
    assert md.start_pressures("pressed") == ["7.7"]
    assert md.quench_pressure("ramped") == 4.0
    assert md.start_pressures("later") == []
    md.check_start(7.70)
    with pytest.raises(GlassmlError, match=r"--pressure-GPa 5: states begin with: 0, 7.7, 4$"):
        md.check_start(5.0)


def test_other_starts_are_not_quenched():
    md = melts(rest=0).model_copy(update={"start": "random"})
    assert md.start_pressures() == md.start_pressures("rest") == []
    with pytest.raises(GlassmlError, match="states begin with: no classical quench"):
        md.check_start(0.0)


def test_a_classical_quench_has_the_rate_that_was_asked_for():
    ramp = {"end_K": 300, "rate_K_per_ps": 10}
    way = ClassicalStart(melt_K=3500, melt_ps=10, quench=[ramp], timestep_fs=1.6)
    mix, melt, quench = quench_stages(way, 0.0)
    assert [stage.name for stage in (mix, melt, quench)] == ["mix", "melt", "quench"]
    assert (mix.ensemble, melt.ensemble, quench.ensemble) == ("nvt", "npt", "npt")
    assert melt.length_fs() == pytest.approx(10_000.0)
    assert 3200.0 / (quench.length_fs() / 1000.0) == pytest.approx(10.0)
    assert quench.temperature_K == (3500.0, 300.0)
    assert ClassicalStart().quench == (Ramp(end_K=300, rate_K_per_ps=10),)


SLOW_WHERE_BONDS_CHANGE = {
    "melt_K": 3500,
    "melt_ps": 20,
    "quench": [
        {"end_K": 2900, "rate_K_per_ps": 1},
        {"end_K": 1900, "rate_K_per_ps": 0.1},
        {"end_K": 1500, "rate_K_per_ps": 1},
    ],
    "timestep_fs": 1.6,
}


def test_a_classical_quench_has_as_many_ramps_as_were_asked_for():
    section = {"start": "classical", "classical": SLOW_WHERE_BONDS_CHANGE, "atoms": 300}
    md = MolecularDynamics.model_validate(section)
    ends = [(3500, 3500), (3500, 2900), (2900, 1900), (1900, 1500)]
    lengths = [20, 600, 10_000, 400]

    mix, *stages = quench_stages(md.classical, 7.7)
    assert (mix.name, mix.pressure_GPa, mix.temperature_K) == ("mix", None, (3500, 3500))
    assert [stage.name for stage in stages] == ["melt", "quench1", "quench2", "quench3"]
    assert [stage.temperature_K for stage in stages] == ends
    assert [stage.steps for stage in stages] == [12_500, 375_000, 6_250_000, 250_000]
    assert [stage.length_fs() / 1000 for stage in stages] == pytest.approx(lengths)
    # 0.1 ps of the melt, a kelvin of a ramp
    assert [stage.sample_every for stage in stages] == [62, 625, 6250, 625]
    assert {stage.pressure_GPa for stage in stages} == {(7.7, 7.7)}

    segments = quench_segments(md.classical, 7.7)
    assert [segment.temperature_K for segment in segments] == ends
    assert [segment.duration_ps for segment in segments] == pytest.approx(lengths)
    assert [segment.keep for segment in segments] == [False, False, False, True]
    assert {segment.pressure_GPa for segment in segments} == {(7.7, 7.7)}

    assert md.start_steps() == sum(stage.steps for stage in stages)
    assert md.start_minutes() == 30 + round(6_887_500 * 300 * 20e-6 / 60)
    assert md.classical.end_temperature() == 1500


def test_a_classical_start_without_ramps_is_a_melt():
    md = MolecularDynamics(classical=ClassicalStart(melt_K=3500, melt_ps=10, quench=()))
    assert [stage.name for stage in quench_stages(md.classical, 0.0)] == ["mix", "melt"]
    (melt,) = quench_segments(md.classical, 0.0)
    assert (melt.temperature_K, melt.duration_ps, melt.keep) == ((3500, 3500), 10, True)
    assert md.start_steps() == 10_000
    assert md.classical.end_temperature() == 3500


KNOWN = "known keys here: melt_K, melt_ps, potential, quench, timestep_fs"


@pytest.mark.parametrize(
    ("classical", "message"),
    [
        (
            {"melt_K": 2900, "quench": [{"end_K": 3500, "rate_K_per_ps": 1}]},
            "quench from melt_K: 2900 → 3500 K: each ramp cools from where the one before ended",
        ),
        (
            {"melt_K": 2900, "quench": [{"end_K": 2900, "rate_K_per_ps": 1}]},
            "quench from melt_K: 2900 → 2900 K: each ramp cools",
        ),
        (
            SLOW_WHERE_BONDS_CHANGE | {"quench": SLOW_WHERE_BONDS_CHANGE["quench"][::-1]},
            "quench from melt_K: 3500 → 1500 → 1900 → 2900 K: each ramp cools",
        ),
        ({"quench": [{"end_K": 300}]}, "quench.0.rate_K_per_ps: is required and missing"),
        ({"quench": [{"end_K": 300, "rate_K_per_ps": -1}]}, "greater than 0"),
        ({"end_K": 1500}, f"md.classical.end_K: unknown key; {KNOWN}"),
        ({"quench_K_per_ps": 1}, f"md.classical.quench_K_per_ps: unknown key; {KNOWN}"),
    ],
)
def test_a_classical_quench_that_does_not_cool_is_refused(classical, message):
    data = {"name": "tiny", "configurations": {"families": {}}}
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse_campaign(data | {"md": {"start": "classical", "classical": classical}})


STUDENT = {
    "package": "resources/potential_small/m0.nequip.zip",
    "quench": [{"end_K": 2400, "rate_K_per_ps": 2}, {"end_K": 1500, "rate_K_per_ps": 10}],
    "hold_ps": 5,
    "timestep_fs": 2,
}


def with_student(student, **more):
    hold = {"name": "hold", "ensemble": "npt", "pressure_GPa": 0, "temperature_K": 1500}
    classical = {"melt_K": 3400, "quench": []}
    section = {"engine": "torch", "start": "classical", "classical": classical}
    section["states"] = {"ambient": {"stages": [hold | {"duration_ps": 1}]}}
    return MolecularDynamics.model_validate(section | {"student": STUDENT | student} | more)


def test_a_student_cools_from_where_the_classical_melt_ends_at_its_rates():
    md = with_student({})
    hold, slow, fast = student_stages(md.student, 3400.0, 7.7)
    assert hold.temperature_K == (3400.0, 3400.0)
    assert hold.length_fs() == pytest.approx(5000.0)
    assert slow.temperature_K == (3400.0, 2400.0)
    assert slow.length_fs() == pytest.approx(1000.0 / 2 * 1000.0)
    assert fast.temperature_K == (2400.0, 1500.0)
    assert fast.length_fs() == pytest.approx(900.0 / 10 * 1000.0)
    assert {stage.pressure_GPa for stage in (hold, slow, fast)} == {(7.7, 7.7)}
    assert md.student_steps() == hold.steps + slow.steps + fast.steps


def test_a_student_goes_on_from_where_the_last_classical_ramp_ended():
    quench = [{"end_K": 3000, "rate_K_per_ps": 10}, {"end_K": 2600, "rate_K_per_ps": 1}]
    md = with_student({}, classical={"melt_K": 3400, "quench": quench})
    assert md.classical.end_temperature() == 2600
    assert md.student_steps() == (5 + 200 / 2 + 900 / 10) * 1000 / 2


@pytest.mark.parametrize(
    ("student", "more", "message"),
    [
        ({"package": "m0.zip"}, {}, "m0.zip is not an existing .nequip.zip file"),
        ({"quench": []}, {}, "at least 1 item"),
        ({"quench": STUDENT["quench"][::-1]}, {}, "each ramp cools from where the one before"),
        ({}, {"start": "random"}, "student: needs start classical, engine torch"),
        ({}, {"engine": "ase"}, "student: needs start classical, engine torch"),
        ({}, {"potential": "shik"}, "student: needs start classical, engine torch"),
        (
            {},
            {"classical": {"quench": [{"end_K": 2000, "rate_K_per_ps": 1}]}},
            "student: quench from where classical ended: 2000 → 2400 → 1500 K: each ramp cools",
        ),
    ],
)
def test_a_student_that_cannot_go_on_is_refused(student, more, message):
    with pytest.raises(ValidationError, match=message):
        with_student(student, **more)
