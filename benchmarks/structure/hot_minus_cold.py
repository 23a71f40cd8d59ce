"""Hot minus cold glasses in situ, glass by glass: FSDP and loops, also at equal density, rings.

    python benchmarks/structure/hot_minus_cold.py results/silica_r2scan/structure \
      hot_7.7GPa_3000K cold_6GPa cold_7.7GPa

The cold glass is continued to the density of the hot one by the line through the two cold states;
with one state given twice there is no such line, and differences are plain. Means with standard
errors over glasses.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from glassml.campaign.files import read_json


def height(folder: Path, weighting: str) -> float:
    """Give S(Q1) of a glass.

    Raises
    ------
    ValueError
        If it has no peak, with the reason.
    """
    peak = read_json(folder / "fsdp.json")[weighting]["Q1"]
    if peak.get("height") is None:
        raise ValueError(f"{folder}: {peak['reason']}")
    return float(peak["height"])


def observable(folder: Path, name: str) -> float:
    """Give an observable of the network of a glass."""
    return float(read_json(folder / "network.json")["observables"][name]["mean"])


def density(folder: Path) -> float:
    """Give the density of a glass in g/cm³."""
    return observable(folder, "density_g_cm3")


def slope(folder: Path) -> float:
    """Give d l2/dn of King rings of Si and O in Å."""
    rows = pd.read_csv(folder / "ring_slope.csv")
    return float(rows[(rows["criterion"] == "king") & (rows["atoms"] == "Si+O")]["slope_A"].item())


def show(name: str, differences: list[float]) -> None:
    """Print a mean with its standard error."""
    if len(differences) < 2:
        print(f"{name}: fewer than two glasses")
        return
    error = np.std(differences, ddof=1) / np.sqrt(len(differences))
    print(f"{name}: {np.mean(differences):+.4f} +- {error:.4f}, {len(differences)} glasses")


def main() -> None:
    """Print the differences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("structure", type=Path, help="results/…/structure")
    parser.add_argument("hot")
    parser.add_argument("looser", help="the cold state of less pressure")
    parser.add_argument("cold")
    args = parser.parse_args()
    glasses = sorted(path.parent.name for path in args.structure.glob(f"{args.hot}/*/fsdp.json"))
    sets = [
        [args.structure / state / glass for state in (args.hot, args.looser, args.cold)]
        for glass in glasses
    ]
    quantities = {
        "S(Q1), neutron": partial(height, weighting="neutron"),
        "S(Q1), xray": partial(height, weighting="xray"),
        "life of Si loops, Å/Si": partial(observable, name="homology_Si_persistence_A"),
        "loops per Si": partial(observable, name="homology_Si_loops"),
    }
    for name, value_of in quantities.items():
        plain, equal = [], []
        for folders in sets:
            try:
                hot, looser, cold = (value_of(folder) for folder in folders)
            except ValueError as reason:
                print(f"left out: {reason}")
                continue
            rho_hot, rho_looser, rho_cold = (density(folder) for folder in folders)
            plain.append(hot - cold)
            if args.looser != args.cold:
                line = (cold - looser) / (rho_cold - rho_looser)
                equal.append(hot - cold - line * (rho_hot - rho_cold))
        show(name, plain)
        if equal:
            show(f"{name}, at equal density", equal)
    show("d l2/dn, Å", [slope(hot) - slope(cold) for hot, _, cold in sets])


if __name__ == "__main__":
    main()
