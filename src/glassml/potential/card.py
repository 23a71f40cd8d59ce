"""The model card: what a potential is, what it was made from, what it gets wrong."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import pandas as pd

from glassml.potential.published import SOURCE, published_potentials

MARKS = {"green": "passes", "amber": "close", "red": "fails", "unknown": "not judged"}
PACKAGES = ("nequip", "e3nn", "torch", "lightning", "ase")


def model_card(
    *,
    campaign: str,
    generation: int,
    gates: Mapping[str, Any],
    errors: pd.DataFrame,
    manifest: Mapping[str, Any],
    settings: Mapping[str, Any],
    verifications: Sequence[Mapping[str, Any]],
    packages: Mapping[str, str],
) -> dict[str, Any]:
    """Collect what `model_card.json` holds.

    Parameters
    ----------
    campaign, generation
        Names of the potential.
    gates
        Content of `gates.json`.
    errors
        Rows of `errors.csv` of all members, with a column `member`.
    manifest
        Of the dataset. What decides which labels are held out is copied: a campaign that starts
        from the packages must hold out no others.
    settings
        Sections `potential` and `dft` of the resolved configuration.
    verifications
        Content of `verification.json` of each member.
    packages
        SHA-256 of each member's package, by name of the member.
    """
    worst = errors.groupby(["set", "group", "name", "quantity", "unit"], sort=False, as_index=False)
    return {
        "campaign": campaign,
        "generation": generation,
        "status": gates["status"],
        "gates": gates["gates"],
        "results": gates["results"],
        "errors": worst[["values", "mae", "rmse", "max"]].max().to_dict(orient="records"),
        "labels": manifest["counts"],
        "taught": manifest["taught"],
        "held_out": {
            "seed": manifest["seed"],
            "test_fraction": manifest["dataset"]["test_fraction"],
            "train_only": manifest["dataset"]["train_only"],
            "included": sorted(manifest["included"]),
        },
        "settings": dict(settings),
        "backends": [record["backend"] for record in verifications],
        "packages": dict(packages),
        "versions": {name: version(name) for name in PACKAGES},
    }


def as_markdown(card: Mapping[str, Any]) -> str:
    """Write a model card for people."""
    potential, dft = card["settings"]["potential"], card["settings"]["dft"]
    model = potential["model"]
    made = {
        "scratch": f"trained from random weights: cutoff {model['cutoff_A']} Å, "
        f"{model['layers']} layers, l_max {model['l_max']}, {model['features']} features",
        "finetune": f"fine-tuned from `{potential['package']}`",
        "given": f"given as `{potential['package']}`, not trained here",
    }[potential["mode"]]
    lines = [
        f"# Potential of campaign {card['campaign']}, generation {card['generation']}",
        "",
        f"**Status: {card['status']}.** {_meaning(card['status'])}",
        "",
        f"A committee of {len(card['packages'])} NequIP networks, {made}.",
        f"Labels: {dft['xc']}, plane waves to {dft['cutoff_eV']:g} eV; "
        + ", ".join(f"{count} {name}" for name, count in card["labels"].items())
        + (f"; a larger potential made {card['taught']} of train." if card["taught"] else "."),
        "",
        "## Gates",
        "",
        "| gate | number | value | allowed | verdict | note |",
        "| --- | --- | --- | --- | --- | --- |",
        *(_gate_line(row) for row in card["results"]),
        "",
        "## Errors, worst member",
        "",
        "| set | group | quantity | values | MAE | RMSE | largest |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(_error_line(row) for row in card["errors"]),
        "",
        "## Published silica potentials",
        "",
        (
            "Root-mean-square errors on another test set, of another functional: they tell the "
            "order of magnitude, and do not rank. Of labels and predictions that are published: "
            f"<{SOURCE}>."
        ),
        "",
        "| potential | energy, meV/atom | force, eV/Å | test set |",
        "| --- | --- | --- | --- |",
        *(
            f"| {row.potential} | {row.energy_meV_per_atom} | {row.force_eV_per_A} "
            f"| {row.functional}, {row.test_set} |"
            for row in published_potentials().itertuples()
        ),
        "",
        "## Use",
        "",
        (
            "For SiO2 in the range of densities, temperatures and pressures of its labels; not for "
            "other elements, surfaces in vacuum, charges, or bonds that break at low density. "
            "Energies are comparable only with labels of the same functional and pseudopotentials."
        ),
        "",
        "Made with " + ", ".join(f"{name} {v}" for name, v in card["versions"].items()) + ".",
        "Packages: " + ", ".join(f"{name} {d[:16]}" for name, d in card["packages"].items()) + ".",
        "",
    ]
    return "\n".join(lines)


def _meaning(status: str) -> str:
    return {
        "green": "It passes all gates that could be judged.",
        "amber": "It misses a threshold by less than the amber factor: use it with care.",
        "red": "It misses at least one threshold by far: what follows from it shows how the "
        "campaign works, and nothing about silica.",
        "unknown": "Nothing could be judged.",
    }[status]


def _gate_line(row: Mapping[str, Any]) -> str:
    value = "-" if row["value"] is None else f"{row['value']:.3g} {row['unit']}".strip()
    allowed = f"{row['threshold']:.3g} {row['unit']}".strip()
    verdict = f"{row['status']} ({MARKS[row['status']]})"
    return f"| {row['gate']} | {row['name']} | {value} | {allowed} | {verdict} | {row['note']} |"


def _error_line(row: Mapping[str, Any]) -> str:
    group = row["name"] if row["group"] == "all" else f"{row['group']} {row['name']}"
    numbers = " | ".join(f"{row[key]:.3g}" for key in ("mae", "rmse", "max"))
    return (
        f"| {row['set']} | {group} | {row['quantity']}, {row['unit']} | {row['values']} "
        f"| {numbers} |"
    )
