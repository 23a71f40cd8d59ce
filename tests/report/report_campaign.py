"""A small campaign's results, written in exactly the formats that the stages document."""

import itertools
import json

import numpy as np
import pandas as pd
from ase.io import write
from ase.spacegroup import crystal

from glassml.campaign import files
from glassml.campaign.config import parse_campaign
from glassml.potential.phonons import compare
from glassml.studies.glasses import CURVES, CURVES_COLUMNS
from glassml.studies.training import (
    ERROR_COLUMNS,
    FIT_COLUMNS,
    GENERATION_COLUMNS,
    GLASS_COLUMNS,
    fit_curve,
)
from tiny import TWO_FAMILIES


def npt(name, temperature_K, pressure_GPa):
    return {
        "name": name,
        "ensemble": "npt",
        "temperature_K": temperature_K,
        "pressure_GPa": pressure_GPa,
        "duration_ps": 1,
    }


STATES = {
    "ambient": {
        "stages": [
            {"name": "melt", "ensemble": "nvt", "temperature_K": 4000, "duration_ps": 1},
            npt("hold", 300, 0),
        ]
    },
    "cold_7.7GPa": {"parent": "ambient", "stages": [npt("compress", 300, [0, 7.7])]},
    "cold_7.7GPa/recovered": {
        "parent": "cold_7.7GPa",
        "stages": [npt("release", 300, [7.7, 0])],
    },
    "hot_7.7GPa_1500K": {
        "parent": "cold_7.7GPa",
        "stages": [npt("heat", [300, 1500], 7.7), npt("cool", [1500, 300], 7.7)],
    },
    "hot_7.7GPa_1500K/recovered": {
        "parent": "hot_7.7GPa_1500K",
        "stages": [npt("release", 300, [7.7, 0])],
    },
}
# density, Q1, S(Q1), slope of l2 of each state; chosen so that hot and cold differ as claimed.
TRUTH = {
    "ambient": (2.20, 1.51, 1.55, 0.125),
    "cold_7.7GPa": (2.67, 1.75, 1.30, 0.110),
    "cold_7.7GPa/recovered": (2.21, 1.52, 1.54, 0.124),
    "hot_7.7GPa_1500K": (2.95, 1.85, 1.45, 0.080),
    "hot_7.7GPa_1500K/recovered": (2.205, 1.70, 1.70, 0.085),
}
ERROR = 0.01
# What two networks of the size search made, by the columns of its table; one glass has no errors.
MADE = {
    "model": (3, 2.21, 0.01, 1.52, 0.02, 1.6, 0.05, 6.6, 0.02, 1.3, 0.01),
    "large": (1, 2.25, "", 1.55, 0.03, 1.5, 0.06, 6.5, "", 1.4, ""),
}
ASPECT = {5: 0.845, 6: 0.795, 7: 0.745, 8: 0.71}
SCALARS = {
    "coordination_Si_mean": 4.0,
    "coordination_Si_4": 0.995,
    "coordination_Si_5": 0.005,
    "coordination_O_mean": 2.0,
    "coordination_O_2": 1.0,
    "bond_Si-O_mean_A": 1.616,
    "angle_O-Si-O_mean_deg": 109.4,
    "angle_O-Si-O_sd_deg": 5.0,
    "angle_Si-O-Si_mean_deg": 147.0,
    "angle_Si-O-Si_sd_deg": 9.0,
}


def write_csv(path, rows):
    files.write_csv(path, rows, list(rows[0]))


def write_json(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))


def make_config(**changes):
    data = {
        "name": "tiny",
        "title": "A tiny campaign",
        "configurations": TWO_FAMILIES,
        "potential": {"committee": 1},
        "md": {"glasses": 2, "atoms": 96, "states": STATES},
    }
    return parse_campaign(data | changes)


def write_labels(root):
    kinds = {"quartz": "rattled", "liquid": "liquid"}
    for family, count in {"quartz": 6, "liquid": 4}.items():
        for shard in range(0, count, 4):
            made, labelled = [], []
            for index in range(shard, min(shard + 4, count)):
                identifier = f"{family}/{index:06d}"
                parent = f"{family}/alpha_quartz/{index:05d}"
                common = {"config_id": identifier, "config_type": kinds[family], "parent": parent}
                failed = identifier == "liquid/000003"
                made.append(common | {"status": "made", "reason": "", "atoms": 24})
                labelled.append(
                    common
                    | {
                        "family": family,
                        "atoms": 24,
                        "status": "failed" if failed else "converged",
                        "reason": "no recipe converged" if failed else "",
                        "recipe": "" if failed else "standard",
                        "attempts": 5 if failed else 1,
                        "iterations": "" if failed else 17,
                        "seconds": 40.0 + index,
                        "label_key": "ab" * 16,
                    }
                )
            name = f"{family}/{shard // 4:04d}.csv"
            write_csv(root / "configurations" / name, made)
            write_csv(root / "dft" / name, labelled)


def write_dataset(root):
    folder = root / "dataset" / "g0"
    rows = []
    for family, counts in {"quartz": (4, 1, 1), "liquid": (1, 1, 1), "all": (5, 2, 2)}.items():
        rows.append(
            {
                "family": family,
                "configurations": sum(counts),
                "train": counts[0],
                "validation": counts[1],
                "test": counts[2],
                "excluded": 0,
                "energy_mean_eV_per_atom": -7.9,
            }
        )
    write_csv(folder / "statistics.csv", rows)
    write_csv(
        folder / "flags.csv",
        [
            {"config_id": f"{name}/0", "parent": f"f/{name}/0", "energy_eV_per_atom": energy}
            for name, energy in (("alpha_quartz", -8.0), ("stishovite", -7.9), ("stishovite", -7.0))
        ],
    )
    write_json(folder / "isolated_atoms.json", {"Si": -0.8, "O": -1.9})
    hashes = {"files": {"train.extxyz": "12" * 32}, "included": {"labels.extxyz.gz": "34" * 32}}
    write_json(folder / "manifest.json", hashes)


def write_potential(root, energy_mae=2.0, generation=0, members=1):
    folder = root / "potential" / f"g{generation}"
    for member in range(members):
        write_member(folder / f"m{member}", energy_mae * (1 + member))
    write_gates(folder)


def write_member(folder, energy_mae):
    rng = np.random.default_rng(1)
    parity, errors = [], []
    units = {"energy": "meV/atom", "force": "eV/Å", "stress": "GPa"}
    for kind, (quantity, unit) in itertools.product(("liquid", "rattled"), units.items()):
        labels = rng.normal(0, 1, 30)
        parity += [
            {
                "set": "test",
                "config_id": f"{kind}/000001",
                "config_type": kind,
                "atoms": 24,
                "quantity": quantity,
                "species": "",
                "component": "",
                "label": label,
                "prediction": label + noise,
            }
            for label, noise in zip(labels, rng.normal(0, 0.1, 30), strict=True)
        ]
        mae = {"energy": energy_mae, "force": 0.05, "stress": 0.3}[quantity]
        # The crystal's error is large: row 1 must look at liquids and glasses alone.
        mae *= 1.0 if kind == "liquid" else 50.0
        errors.append(
            {
                "set": "test",
                "group": "config_type",
                "name": kind,
                "quantity": quantity,
                "unit": unit,
                "values": 30,
                "mae": mae,
                "rmse": mae * 1.3,
                "max": mae * 4,
            }
        )
    write_csv(folder / "parity.csv", parity)
    write_csv(folder / "errors.csv", errors)
    history = [
        {
            "epoch": epoch,
            "seconds": 2.0 * epoch,
            "learning_rate": 0.01,
            "train_loss": 10.0 / (epoch + 1),
            "validation_loss": 12.0 / (epoch + 1),
            "validation_energy_mae_meV_per_atom": 50.0 / (epoch + 1),
            "validation_force_mae_eV_per_A": 2.0 / (epoch + 1),
            "validation_stress_mae_GPa": 5.0 / (epoch + 1),
        }
        for epoch in range(20)
    ]
    write_csv(folder / "history.csv", history)
    check = {"name": "compiled: energy", "value": 0.01, "bound": 0.1, "unit": "meV/atom"}
    record = {"passed": True, "backend": "eager", "reason": "short run", "machine": {}}
    write_json(folder / "verification.json", record | {"checks": [check | {"passed": True}]})


def write_gates(folder):
    result = {
        "gate": "errors",
        "name": "stress MAE, test labels, worst member",
        "value": 0.9,
        "threshold": 0.2,
        "unit": "GPa",
        "status": "red",
        "note": "",
    }
    gates = {"status": "red", "gates": {"errors": "red"}, "results": [result]}
    write_json(folder / "gates.json", gates)
    (folder / "model_card.md").write_text("# The potential\n")
    curves = [
        {
            "polymorph": "alpha_quartz",
            "config_id": f"quartz/{index:06d}",
            "set": "train",
            "member": "m0",
            "volume_A3_per_atom": 12.0 + index,
            "label": -8.0 + 0.02 * index,
            "prediction": -8.0 + 0.03 * index,
        }
        for index in range(4)
    ]
    write_csv(folder / "gates" / "curves.csv", curves)
    dimers = [
        {
            "member": "m0",
            "name": "O-Si in vacuum",
            "distance_A": 0.5 + 0.1 * index,
            "energy_eV": 30.0 / (index + 1),
        }
        for index in range(8)
    ]
    write_csv(folder / "gates" / "dimers.csv", dimers)


def write_studies(root, generations=2):
    """Write what a campaign with generations, phonons and studies of training has beside them."""
    folder = root / "studies"
    explored = {"trajectories": 16, "stopped": 1, "exploration_s": 900.0, "selected": 32}
    explored |= {"accurate": 0.7, "candidate": 0.25, "failed": 0.05, "labelled": 31, "dft_s": 7200}
    rows = [
        dict.fromkeys(GENERATION_COLUMNS, "")
        | {"generation": number, "train_labels": 100 + 31 * number, "test_labels": 12}
        | dict(zip(ERROR_COLUMNS, (4.0 - number, 0.2 / (1 + number), 0.5), strict=True))
        | {"training_s": 1800.0}
        | (explored if number + 1 < generations else {})
        for number in range(generations)
    ]
    write_csv(folder / "generations.csv", rows)
    sizes = {"small": (0.1, 0.2), "model": (0.2, 0.1), "wide": (0.5, 0.12), "large": (0.9, 0.05)}
    rows = [
        {"variant": name, "cutoff_A": 4.5, "layers": 2, "l_max": 1, "features": 16, "epochs": 80}
        | {"training_s": 3600.0 * cost}
        | dict(zip(ERROR_COLUMNS, (20 * error, error, 3 * error), strict=True))
        | {"ms_per_atom_step": cost, "device": "cpu", "pareto": name != "wide"}
        | dict.fromkeys(GLASS_COLUMNS, "")
        | (dict(zip(GLASS_COLUMNS, MADE[name], strict=True)) if name in MADE else {})
        for name, (cost, error) in sizes.items()
    ]
    write_csv(folder / "search" / "search.csv", rows)
    points = [(CURVES[0], x, 1.0 + x / 10) for x in (1.0, 1.5, 2.0)]
    points += [(CURVES[1], size, 0.5) for size in (6, 7)]
    rows = [
        dict(zip(CURVES_COLUMNS, (name, *point, 0.1), strict=True))
        for name, point in itertools.product(MADE, points)
    ]
    write_csv(folder / "search" / "search_glasses.csv", rows)
    curve = [
        {"labels": labels, "epochs": 10, "training_s": 60.0}
        | dict.fromkeys(ERROR_COLUMNS[:2], 4.0 * (labels / 1000) ** -0.5)
        | {ERROR_COLUMNS[2]: 0.5 * (labels / 1000) ** 0.1}
        for labels in (100, 300, 1000)
    ]
    write_csv(folder / "learning_curve" / "learning_curve.csv", curve)
    fits = fit_curve(curve, {"energy": 1.0, "force": 0.1, "stress": 0.2})
    fits = [dict.fromkeys(FIT_COLUMNS, "") | fit for fit in fits]
    write_csv(folder / "learning_curve" / "learning_curve_fit.csv", fits)
    expected = np.array([[-0.01, 0.0, 0.0, 4.0, 12.0, 30.0]])
    phonons = [
        compare(crystal, f"m{member}", expected + 0.3 * (1 + member), expected)
        for crystal, member in itertools.product(("alpha_quartz", "stishovite"), range(2))
    ]
    path = root / "potential" / f"g{generations - 1}" / "gates" / "phonons.csv"
    pd.concat(phonons).to_csv(path, index=False)


def write_final(path):
    """A block of beta-cristobalite, in which every ring is known."""
    atoms = crystal(
        ("Si", "O"),
        [(1 / 8, 1 / 8, 1 / 8), (0, 0, 0)],
        spacegroup=227,
        setting=2,
        cellpar=[7.16, 7.16, 7.16, 90, 90, 90],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, atoms, format="extxyz")


def write_dynamics(root):
    for index, state in enumerate(STATES):
        for glass in ("glass00", "glass01"):
            folder = root / "md" / state / glass
            stopped = state == "hot_7.7GPa_1500K" and glass == "glass01"
            record = {
                "status": "stopped" if stopped else "finished",
                "reason": "atoms 3 and 7 are 0.71 Å apart" if stopped else None,
                "atoms": 96,
                "steps": 2000,
                "seconds": 30.0,
                "warnings": [],
                "potential": {"path": "potential/g0/m0/model.nequip.zip", "sha256": "ab" * 32},
            }
            write_json(folder / "record.json", record)
            rows = [
                {
                    "time_fs": 50.0 * step,
                    "stage": STATES[state]["stages"][0 if step < 20 else -1]["name"],
                    "temperature_K": 300.0 + step,
                    "pressure_GPa": 0.1 * step,
                    "density_g_cm3": TRUTH[state][0],
                    "volume_A3": 1400.0,
                    "potential_energy_eV": -760.0 + 0.1 * index,
                    "kinetic_energy_eV": 3.7,
                    "total_energy_eV": -756.0,
                }
                for step in range(40)
            ]
            write_csv(folder / "series.csv", rows)
            write_final(folder / "final.extxyz")


def lorentzian(q, position, height, width=0.31):
    return 1.0 + (height - 1.0) / (1.0 + ((q - position) / (width / 2)) ** 2)


def curve(common, abscissa, values, columns, error):
    """Rows of a curve: the abscissa, and columns that are given by functions of it."""
    rows = []
    for x in values:
        row = common | {abscissa: float(x)}
        for name, function in columns.items():
            row |= {name: float(function(x)), f"{name}_error": error}
        rows.append(row)
    return rows


def bell(centre, width, height=1.0):
    return lambda x: height * np.exp(-(((x - centre) / width) ** 2))


def scalars(density):
    """Give what the network has, by observable; loops live shorter the denser it is."""
    return SCALARS | {"density_g_cm3": density, "homology_Si_persistence_A": 1.5 - 0.25 * density}


def state_tables(state, glasses):
    """Rows of each summary table that are about one state."""
    density, q1, s1, slope = TRUTH[state]
    error = ERROR if glasses > 1 else ""
    common = {"state": state, "glasses": glasses}
    q = np.arange(0.5, 20.0, 0.05)

    def peak(x):
        return lorentzian(x, q1, s1)

    names = ("Si-Si", "Si-O", "O-O", "neutron", "xray", "NN", "NC")
    factors = dict.fromkeys(names, peak) | {"CC": lambda _: 2 / 9}
    pairs = {"Si-O": 1.616, "O-O": 2.636, "Si-Si": 3.10}
    angles = {"O-Si-O": 109.4, "Si-O-Si": 147.0}
    tables = {
        "states": [
            common
            | {"set_aside": 0, "reasons": "", "observable": name, "mean": mean, "error": error}
            for name, mean in scalars(density).items()
        ],
        "sq": [row | {"counts": 10} for row in curve(common, "q_per_A", q, factors, error)],
        "gr": curve(
            common,
            "r_A",
            np.arange(0.01, 8.0, 0.02),
            {name: bell(where, 0.1, 5.0) for name, where in pairs.items()},
            error,
        ),
        "angles": curve(
            common,
            "angle_deg",
            np.arange(0.5, 180.0),
            {f"{name}_per_deg": bell(mean, 7.0, 0.08) for name, mean in angles.items()},
            error,
        ),
        "kono_z": curve(
            common,
            "z_A",
            np.arange(0.0, 4.0, 0.05),
            {"density_per_A": bell(2.6 - 0.2 * density, 0.3)},
            error,
        ),
        "ring_centre_sq": [
            row | {"size": "all", "counts": 10}
            for row in curve(common, "q_per_A", q[q < 6], {"centre-centre": peak}, error)
        ],
        "ring_centre_gr": [
            row | {"size": "all"}
            for row in curve(
                common,
                "r_A",
                np.arange(0.05, 8.0, 0.1),
                dict.fromkeys(("centre-centre", "centre-Si", "centre-O"), lambda _: 1.0),
                error,
            )
        ],
        "homology": [
            common
            | {"element": "Si", "birth_A": 1.625, "death_A": death, "loops": 0.4}
            | {"loops_error": error}
            for death in (2.225, 2.275, 2.625)
        ],
        "fsdp": [],
    }
    for weighting in ("neutron", "xray"):
        row = common | {"weighting": weighting, "peak": "Q1", "definition": "Lorentzian."}
        for name, value in (("position", q1), ("height", s1), ("fwhm", 0.31)):
            row |= {name: value, f"{name}_error": error}
        tables["fsdp"].append(row | {"reason": ""})
    return tables | ring_tables(state, common, slope, error)


def ring_tables(state, common, slope, error):
    """Rows of the tables of rings that are about one state."""
    rings, shapes, slopes, aspects = [], [], [], []
    bend = 0.02 if "7.7" in state else 0.0
    for criterion, mode in {"primitive": 6, "king": 7, "king-shell": 7, "guttman": 6}.items():
        sizes = np.arange(3, 11)
        shares = np.exp(-((sizes - mode) ** 2) / 2.0)
        shares /= shares.sum()
        for size, share in zip(sizes.tolist(), shares.tolist(), strict=True):
            key = common | {"criterion": criterion, "size": size}
            counts = {"per_si": 3 * share, "per_si_error": error}
            rings.append(key | counts | {"fraction": share, "fraction_error": error})
            values = {
                "l1_A": 0.4,
                "l2_A": 0.8 + slope * size,
                "l3_A": 2.0,
                "aspect_ratio": (ratio := ASPECT.get(size, 0.7) - bend),
                "roughness": 0.3,
            }
            shape = key | {"atoms": "Si+O"}
            for name, value in values.items():
                shape |= {f"{name}_mean": value, f"{name}_mean_error": error}
            shapes.append(shape)
            densities = {"density": bell(ratio, 0.08, 7.05)}
            aspects += curve(key, "aspect_ratio", np.arange(0.01, 1.0, 0.02), densities, error)
        known = 0.002 if error else ""
        row = common | {"criterion": criterion, "atoms": "Si+O"}
        slopes.append(row | {"slope_A": slope, "slope_A_error": known})
    tables = {"rings": rings, "ring_shape": shapes, "ring_slope": slopes}
    return tables | {"ring_aspect": aspects}


def write_glass(folder, density, q1, s1):
    """Write what single glasses are asked for: their density and first peak."""
    errors = {"position_error": 0.02, "height_error": 0.03}
    peak = {"Q1": {"position": q1, "height": s1} | errors}
    write_json(folder / "fsdp.json", {"neutron": peak, "xray": peak})
    means = {name: {"mean": mean} for name, mean in scalars(density).items()}
    write_json(folder / "network.json", {"status": "analysed", "observables": means})


def write_structure(root, states=tuple(TRUTH), glasses=2):
    tables = {}
    for index, state in enumerate(states):
        density, q1, s1, _ = TRUTH[state]
        for glass in range(glasses):
            # Glasses differ by 0.02, and states of a glass by a little more or less.
            apart = (0.02 + 0.001 * index) * (glass - (glasses - 1) / 2)
            folder = root / "structure" / state / f"glass{glass:02d}"
            write_glass(folder, density, q1, s1 + apart)
        for name, rows in state_tables(state, glasses).items():
            tables.setdefault(name, []).extend(rows)
    for name, rows in tables.items():
        write_csv(root / "structure" / "summary" / f"{name}.csv", rows)


def write_benchmarks(root):
    for name, seconds in {"dft/quartz/0000": 170.0, "md/ambient/glass00": 31.0}.items():
        path = root / "benchmarks" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\tcpu_time\n{seconds}\t0:02:50\t512.5\t-\n")


def write_campaign(root, **structure):
    write_labels(root)
    write_dataset(root)
    write_potential(root)
    write_dynamics(root)
    write_structure(root, **structure)
    write_benchmarks(root)
    return root
