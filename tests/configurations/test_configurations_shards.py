"""Shards: numbering, growth, refusals, imports, command line."""

import csv
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.io import read, write

from glassml.campaign.config import load_campaign, parse_campaign
from glassml.campaign.config.configurations import Crystals
from glassml.campaign.errors import ConfigError
from glassml.cli import main
from glassml.configurations import shard as shard_module
from glassml.configurations.crystals import polymorph
from glassml.configurations.generators import glass_path
from glassml.configurations.shard import generate_shard, tidy, write_shard

FAMILIES = {
    "crystals": {
        "generator": "crystal",
        "count": 12,
        "polymorphs": ["alpha_quartz", "stishovite"],
        "atoms": [6, 18],
    },
    "turned": {"generator": "rotation", "count": 4, "angle_step_deg": 1.1},
    "liquid": {"generator": "melt", "count": 4, "melt_ps": 0.3, "hold_ps": 0.2},
    "cold": {
        "generator": "glass",
        "count": 4,
        "path": "cold",
        "melt_ps": 0.3,
        "compression_ps": 0.3,
        "rate_K_per_ps": [8000, 9000],
    },
    "walls": {"generator": "short_pair", "count": 6, "melt_ps": 0.3},
    "dimers": {"generator": "dimer", "count": 6},
    "atoms": {"generator": "isolated_atom", "count": 2},
}


def campaign(families, seed=1, shard_size=4):
    return parse_campaign(
        {
            "name": "t",
            "seed": seed,
            "configurations": {"shard_size": shard_size, "families": families},
            "md": {},
        }
    )


def make(tmp_path, name, shard=0, families=FAMILIES, **settings):
    config = tmp_path / "campaign.yaml"
    tmp_path.mkdir(exist_ok=True)
    config.write_text(yaml.safe_dump(campaign(families, **settings).model_dump(mode="json")))
    output = tmp_path / name / f"{shard:04d}.extxyz"
    arguments = ["--config", config, "--family", name, "--shard", shard, "--output", output]
    assert main(["configurations", "generate", *map(str, arguments)]) == 0
    frames = read(output, index=":") if output.stat().st_size else []
    with output.with_suffix(".csv").open() as file:
        return frames, list(csv.DictReader(file)), output.read_bytes()


@pytest.mark.parametrize("name", FAMILIES)
def test_growth_recomputes_nothing(name, tmp_path):
    _, _, few = make(tmp_path / "a", name)
    grown = {name: FAMILIES[name] | {"count": 10 * FAMILIES[name]["count"]}}
    if FAMILIES[name]["count"] < 4:
        _, _, many = make(tmp_path / "b", name, families=grown)
        assert many.startswith(few)
    else:
        assert make(tmp_path / "b", name, families=grown)[2] == few


def test_configuration_does_not_depend_on_the_size_of_shards(tmp_path):
    for name in ("crystals", "liquid"):
        two = make(tmp_path / "a", name, shard=1, shard_size=2)[0]
        four = make(tmp_path / "b", name, shard=0, shard_size=4)[0]
        assert [a.info["config_id"] for a in two] == [a.info["config_id"] for a in four[2:]]
        for one, other in zip(two, four[2:], strict=True):
            np.testing.assert_array_equal(one.positions, other.positions)
            np.testing.assert_array_equal(one.cell[:], other.cell[:])


def test_another_seed_gives_other_structures(tmp_path):
    one = make(tmp_path / "a", "liquid", seed=1)[0]
    other = make(tmp_path / "b", "liquid", seed=2)[0]
    assert not np.allclose(one[0].positions, other[0].positions)


@pytest.mark.parametrize(
    ("name", "config_types"),
    [
        ("crystals", {"crystal", "strained", "rattled"}),
        ("turned", {"strained"}),
        ("liquid", {"liquid"}),
        ("cold", {"compressed"}),
        ("walls", {"short_pair"}),
        ("dimers", {"dimer"}),
        ("atoms", {"isolated_atom"}),
    ],
)
def test_info_and_numbers_of_a_family(name, config_types, tmp_path):
    frames, rows, _ = make(tmp_path, name)
    assert {a.info["config_type"] for a in frames} <= config_types
    assert [row["config_id"] for row in rows] == [f"{name}/{i:06d}" for i in range(len(rows))]
    assert all(row["status"] == "made" for row in rows)
    for atoms in frames:
        assert atoms.info["family"] == name
        assert atoms.info["parent"].startswith(f"{name}/")
        assert atoms.info["seed"] > 0
        assert (atoms.get_scaled_positions(wrap=False) > -1e-7).all()
        assert (atoms.get_scaled_positions(wrap=False) < 1 + 1e-7).all()


def test_first_crystals_are_ideal_and_snapshots_share_a_parent(tmp_path):
    crystals = make(tmp_path, "crystals")[0]
    assert [a.info["config_type"] for a in crystals[:2]] == ["crystal", "crystal"]
    assert len(crystals[0]) == 9
    parents = [a.info["parent"] for a in make(tmp_path, "liquid")[0]]
    assert parents == ["liquid/00000"] * 2 + ["liquid/00001"] * 2


def test_file_holds_exactly_what_was_made(tmp_path):
    atoms = tidy(polymorph("coesite"))
    atoms.info["config_id"] = "x/000000"
    write_shard(tmp_path / "0000.extxyz", [atoms], [])
    back = read(tmp_path / "0000.extxyz")
    np.testing.assert_array_equal(back.positions, atoms.positions)
    np.testing.assert_array_equal(back.cell[:], atoms.cell[:])


def test_isolated_atoms_have_three_different_edges(tmp_path):
    frames = make(tmp_path, "atoms")[0]
    assert [a.get_chemical_symbols() for a in frames] == [["Si"], ["O"]]
    assert len(set(np.round(frames[0].cell.lengths(), 3))) == 3


def test_walls_and_dimers_have_the_distances_asked_for(tmp_path):
    for name, pairs in (("dimers", 4), ("walls", 4)):
        _, rows, _ = make(tmp_path, name)
        shortest = [float(row["shortest_Si_O_A"] or 9) for row in rows]
        assert len(rows) == pairs
        assert 1.0 <= min(shortest) <= 2.0
    first = make(tmp_path, "walls")[1][0]
    assert 1.0 <= float(first["shortest_Si_O_A"]) <= 1.5


@pytest.mark.parametrize("path", ["quenched", "cold", "hot", "released_cold", "released_hot"])
@pytest.mark.parametrize("snapshots", [1, 2, 5])
def test_paths_keep_their_snapshots_and_end_where_they_should(path, snapshots):
    segments = glass_path(
        path,
        rate_K_per_ps=1000.0,
        temperature_K=300.0,
        constant_volume=False,
        pressure_GPa=20.0,
        hot_temperature_K=1500.0,
        compression_ps=3.0,
        snapshots=snapshots,
    )
    assert sum(segment.keep for segment in segments) == snapshots
    for one, two in pairwise(segments):
        assert one.temperature_K[1] == two.temperature_K[0]
        assert one.pressure_GPa[1] == two.pressure_GPa[0]
    assert segments[-1].temperature_K[1] == 300.0
    assert segments[-1].pressure_GPa[1] == (20.0 if path in {"cold", "hot"} else 0.0)


def crystals(**changes):
    """Ideal and strained stishovite, of which all are alike unless `changes` say otherwise."""
    given = {
        "count": 4,
        "attempts": 3,
        "polymorphs": ["stishovite"],
        "atoms": (6, 9),
        "volume_change": (0.0, 0.0),
        "shear_max": 0.0,
        "strained_fraction": 1.0,
        "rattle_widths_A": [0.1],
        "monte_carlo_fraction": 0.0,
        "copies_per_cell": 1,
    }
    return Crystals(generator="crystal", **given | changes)


def shard(section):
    return generate_shard("x", 0, section, shard_size=4, seed=1)


def test_near_duplicates_are_refused_and_the_others_delivered():
    frames, rows = shard(crystals())
    # Neither strain nor rattle: all equal the first, the ideal crystal.
    assert [row["status"] for row in rows] == ["made", "refused", "refused", "refused"]
    assert "near-duplicate of candidate 0" in rows[1]["reason"]
    assert [a.info["config_id"] for a in frames] == ["x/000000"]


def test_impossible_distances_are_tried_again_and_refused_with_a_reason():
    frames, rows = shard(
        crystals(
            polymorphs=["alpha_quartz"],
            volume_change=(-0.4, -0.4),
            shortest_distances={"Si_O_A": 1.5},
        )
    )
    assert len(frames) == 1  # the ideal one
    assert rows[1]["attempts"] == 3
    assert "is below" in rows[1]["reason"]


def test_oversampling_keeps_the_more_diverse():
    wide = {"volume_change": (-0.2, 0.1), "ideal": False, "count": 4, "attempts": 1}

    def spread(frames):
        prints = shard_module.fingerprints(frames)
        gaps = np.linalg.norm(prints[:, None] - prints[None], axis=2)
        return gaps[np.triu_indices(len(frames), 1)].min()

    plain, _ = shard(crystals(**wide))
    chosen, rows = shard(crystals(oversample=6, **wide))
    assert len(chosen) == 4
    assert spread(chosen) > spread(plain)
    assert [row["config_id"] for row in rows] == [f"x/{i:06d}" for i in range(4)]


def labelled(**changes):
    atoms = polymorph("alpha_quartz")
    atoms.rattle(0.02 + 0.01 * len(changes), seed=len(str(changes)))
    atoms.info["my_energy"] = -70.0
    atoms.arrays["my_forces"] = np.zeros((9, 3))
    atoms.info["my_stress"] = np.zeros(9)
    for key, value in changes.items():
        if key in ("my_forces", "numbers"):
            atoms.arrays[key] = np.array(value)
        elif key == "positions":
            atoms.positions[0] = value
        elif value is None:
            atoms.info.pop(key)
        else:
            atoms.info[key] = value
    return atoms


def unbalanced():
    forces = np.zeros((9, 3))
    forces[:, 0] = 1.0
    return forces


BAD_IMPORTS = [
    (labelled(my_energy=None), "label my_energy is missing; the frame has .*my_forces"),
    (labelled(my_energy="low"), "not a number|shape"),
    (labelled(my_energy=-1e9), "not a total energy"),
    (labelled(my_forces=np.zeros((9, 1))), "shape"),
    (labelled(my_forces=np.full((9, 3), np.nan)), "not finite"),
    (labelled(my_forces=np.full((9, 3), 1e5)), "force of"),
    (labelled(my_forces=unbalanced()), "add up"),
    (labelled(my_stress=np.zeros(4)), "expected 6 or 9"),
    (labelled(numbers=[14, 14, 14, 8, 8, 8, 8, 8, 17]), "contains Cl"),
    (labelled(positions=[np.nan, 0, 0]), "not a finite number"),
    (labelled(positions=polymorph("alpha_quartz").positions[4] + 0.3), "is below"),
    (Atoms("SiO2", positions=3 * np.eye(3)), "missing"),
]
KEYS = {
    "xc": "r2SCAN",
    "code": "made up",
    "energy": "my_energy",
    "forces": "my_forces",
    "stress": "my_stress",
}


@pytest.fixture
def bad_file(tmp_path):
    """Twelve bad frames between two good ones."""
    frames = [labelled(), *(atoms for atoms, _ in BAD_IMPORTS), labelled(good=1, more=2)]
    write(tmp_path / "published.extxyz", frames, write_results=False)
    return tmp_path / "published.extxyz"


def test_bad_imports_are_refused_one_by_one_and_the_rest_is_taken(bad_file, tmp_path):
    families = {
        "published": {"generator": "file", "path": str(bad_file), "count": 16, "labels": KEYS}
    }
    frames, rows, _ = make(tmp_path, "published", families=families, shard_size=16)
    assert [a.info["config_id"] for a in frames] == ["published/000000", "published/000013"]
    assert frames[0].info["REF_energy"] == -70.0
    assert frames[0].arrays["REF_forces"].shape == (9, 3)
    assert frames[0].info["REF_stress"].shape == (6,)

    for row, (_, reason) in zip(rows[1:13], BAD_IMPORTS, strict=True):
        assert row["status"] == "refused"
        assert re.search(reason, row["reason"]), (row["config_id"], row["reason"])
    assert "has 14 frames; there is no number 14" in rows[14]["reason"]


def test_labels_are_dropped_unless_they_are_asked_for(bad_file, tmp_path):
    families = {"published": {"generator": "file", "path": str(bad_file), "count": 1}}
    frames, _, _ = make(tmp_path, "published", families=families)
    assert "REF_energy" not in frames[0].info


@pytest.mark.parametrize("name", ["absent.cif", "broken.cif"])
def test_unreadable_file_is_a_reason_and_no_crash(name, tmp_path):
    (tmp_path / "broken.cif").write_text("no crystal\n")
    families = {"x": {"generator": "file", "path": str(tmp_path / name), "count": 2}}
    frames, rows, data = make(tmp_path, "x", families=families)
    assert frames == []
    assert data == b""
    assert all(name in row["reason"] for row in rows)


def test_cif_is_read(tmp_path):
    write(tmp_path / "quartz.cif", polymorph("alpha_quartz"))
    families = {"x": {"generator": "file", "path": str(tmp_path / "quartz.cif"), "count": 1}}
    frames, _, _ = make(tmp_path, "x", families=families)
    assert len(frames[0]) == 9
    assert frames[0].info["config_type"] == "imported"


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ({"generator": "crystal", "count": 1, "polymorphs": ["diamond"]}, "alpha_quartz"),
        ({"generator": "crystal", "count": 1, "polymorphs": []}, "at least 1"),
        (
            {"generator": "crystal", "count": 1, "polymorphs": ["coesite", "coesite"]},
            "each polymorph once",
        ),
        ({"generator": "melt", "count": 1, "temperature_K": [6000, 2000]}, "lower bound"),
        ({"generator": "melt", "count": 1, "temperature_C": [2000, 6000]}, "temperature_C"),
        ({"generator": "melt", "count": 1, "pressure_GPa": [0, 1000]}, "between -10.0 and 100.0"),
        ({"generator": "melt", "count": 0}, "greater than 0"),
        ({"generator": "melt", "count": 1, "atoms": [25]}, "multiple of 3"),
        ({"generator": "molten", "count": 1}, "molten"),
        ({"generator": "isolated_atom", "count": 1}, "one box per symbol"),
        ({"generator": "isolated_atom", "count": 1, "symbols": ["Ge"]}, "'Si' or 'O'"),
        ({"generator": "glass", "count": 1, "path": "warm"}, "quenched"),
        ({"generator": "rotation", "count": 20}, "177.5°, at most 175"),
    ],
)
def test_bad_families_are_refused(family, message):
    with pytest.raises(ConfigError, match=message):
        campaign({"x": family})


def test_bad_family_name_is_refused():
    with pytest.raises(ConfigError, match="pattern"):
        campaign({"My-Family": FAMILIES["liquid"]})


def test_shards_and_their_sections():
    section = campaign(FAMILIES).configurations
    assert section.shards("crystals") == 3
    assert ("crystals", "0002") in section.all_shards()
    assert section.elements() == {"Si", "O"}
    grown = campaign(FAMILIES | {"crystals": FAMILIES["crystals"] | {"count": 120}}).configurations
    for shard in range(3):
        one = section.shard_section("crystals", shard)
        assert one == grown.shard_section("crystals", shard)


@pytest.mark.parametrize(("family", "shard"), [("absent", 0), ("liquid", 7)])
def test_command_refuses_what_is_not_there(family, shard, tmp_path, capsys):
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump(campaign(FAMILIES).model_dump(mode="json")))
    arguments = ["--config", config, "--family", family, "--shard", shard, "--output", "x.extxyz"]
    assert main(["configurations", "generate", *map(str, arguments)]) == 2
    assert family in capsys.readouterr().err


def test_reference_set_is_mostly_disordered_and_balanced_from_its_first_shards():
    path = Path(__file__).parents[2] / "config" / "reference.yaml"
    families = load_campaign(path).configurations.families
    counts = {name: family.count for name, family in families.items()}
    disordered = {n for n, f in families.items() if f.generator in {"melt", "glass"}}
    assert 4000 <= sum(counts.values()) <= 10_000
    for per_family in (8, max(counts.values())):  # the first shard of each, and all
        chosen = {name: min(count, per_family) for name, count in counts.items()}
        assert sum(chosen[n] for n in disordered) > 0.4 * sum(chosen.values())


def test_shards_cost_about_the_same_and_keep_their_members(tmp_path):
    sizes = {"liquid": [24], "larger": [36], "mixed": [24, 48, 72], "huge": [150]}
    families = {
        name: {"generator": "melt", "count": 100, "atoms": atoms} for name, atoms in sizes.items()
    }
    families["crystals"] = FAMILIES["crystals"]
    section = campaign(families, shard_size=32).configurations
    cost = {
        name: section.family_shard_size(name) * family.relative_cost()
        for name, family in section.families.items()
    }
    assert section.family_shard_size("liquid") == section.family_shard_size("crystals") == 32
    assert all(0.8 * 32 < value < 1.8 * 32 for value in cost.values()), cost
    assert section.family_shard_size("huge") == 1
    # Shards know their members by the size, and the size does not know the count.
    grown = {name: family | {"count": 1000} for name, family in families.items()}
    more = campaign(grown, shard_size=32).configurations
    for name in families:
        assert more.family_shard_size(name) == section.family_shard_size(name)
        whole = families[name]["count"] // section.family_shard_size(name)
        for shard in range(whole):
            assert more.shard_section(name, shard) == section.shard_section(name, shard)
    members = [
        (
            section.shard_section("mixed", shard)["first"],
            section.shard_section("mixed", shard)["last"],
        )
        for shard in range(section.shards("mixed"))
    ]
    assert members[0][0] == 0
    assert members[-1][1] == 100
    assert all(one[1] == other[0] for one, other in pairwise(members))
