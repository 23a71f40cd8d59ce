"""Figures of the convergence study and of the equations of state."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase.eos import birchmurnaghan
from ase.units import GPa
from matplotlib.figure import Figure

from glassml.dft.equation_of_state import fit
from glassml.dft.polymorphs import Point

QUANTITIES = {
    "energy_difference_meV_per_atom": "energy difference / meV per atom",
    "force_max_eV_per_A": "largest force error / eV/Å",
    "stress_max_GPa": "largest stress error / GPa",
}
TARGETS = {
    "energy_difference_meV_per_atom": 1.0,
    "force_max_eV_per_A": 0.01,
    "stress_max_GPa": 0.1,
}
PARAMETERS = {
    "cutoff_eV": "plane-wave cutoff / eV",
    "kpoint_spacing_per_A": "k-point spacing / Å⁻¹",
    "density_tolerance": "tolerance of the density / e per valence e",
    "eigenstates_tolerance_eV2": "tolerance of the eigenstates / eV² per valence e",
}
ON_LOG_AXES = ("density_tolerance", "eigenstates_tolerance_eV2")


def plot_convergence(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the errors against each parameter, with the targets and the production settings.

    Parameters
    ----------
    rows
        As `glassml.dft.convergence.study` gives them.
    """
    parameters = list(dict.fromkeys(row["parameter"] for row in rows))
    figure = Figure(figsize=(3.4 * len(parameters), 7.5), layout="constrained")
    axes = figure.subplots(len(QUANTITIES), len(parameters), squeeze=False)
    for column, parameter in enumerate(parameters):
        mine = [row for row in rows if row["parameter"] == parameter]
        production = next(row["value"] for row in mine if row["production"])
        for axis, (quantity, label) in zip(axes[:, column], QUANTITIES.items(), strict=True):
            for number, name in enumerate(dict.fromkeys(row["structure"] for row in mine)):
                points = [
                    (row["value"], abs(row[quantity]))
                    for row in mine
                    if row["structure"] == name and quantity in row
                ]
                if points:
                    axis.plot(
                        *zip(*points, strict=True), "o-", ms=3, color=f"C{number}", label=name
                    )
            axis.axhline(TARGETS[quantity], color="0.5", ls="--", lw=1, label="target")
            axis.axvline(production, color="0.8", lw=4, zorder=0, label="production")
            axis.set_yscale("symlog", linthresh=TARGETS[quantity] / 10)
            axis.set_ylim(bottom=0)
            if parameter in ON_LOG_AXES:
                axis.set_xscale("log")
            if column == 0:
                axis.set_ylabel(label, fontsize=8)
        axes[-1][column].set_xlabel(PARAMETERS[parameter], fontsize=8)
    axes[-1][0].legend(fontsize=7)
    return figure


def plot_polymorphs(points: Sequence[Point], minima: Sequence[Point]) -> Figure:
    """Draw E(V) of each polymorph, points and fit, relative to the lowest minimum.

    Parameters
    ----------
    points, minima
        As `glassml.dft.polymorphs.study` gives them.
    """
    figure = Figure(figsize=(7.0, 4.5), layout="constrained")
    axis = figure.subplots()
    lowest = min(point.energy for point in minima)
    for minimum in minima:
        mine = [point for point in points if point.polymorph == minimum.polymorph]
        volumes = np.array([point.volume for point in mine])
        energies = np.array([point.energy for point in mine])
        curve = fit(volumes.tolist(), energies.tolist())
        dense = np.linspace(volumes.min(), volumes.max(), 200)
        model = birchmurnaghan(
            dense, curve.energy, curve.modulus * GPa, curve.derivative, curve.volume
        )
        (line,) = axis.plot(dense, 1000 * (model - lowest), lw=1)
        axis.plot(
            volumes,
            1000 * (energies - lowest),
            "o",
            ms=4,
            color=line.get_color(),
            label=minimum.polymorph.replace("_", " "),
        )
    axis.set_xlabel("volume / Å³ per SiO₂")
    axis.set_ylabel("energy / meV per SiO₂")
    axis.legend(fontsize=8)
    return figure
