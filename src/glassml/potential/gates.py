"""Gates: is a potential good enough for molecular dynamics? Red, amber or green, with numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypedDict

import numpy as np
import pandas as pd
from ase import Atoms

from glassml.campaign.config.potential import Equations, Glasses, Rotations
from glassml.dft.equation_of_state import Curve
from glassml.potential.equations import curves
from glassml.potential.errors import UNITS, held_out_rows
from glassml.potential.probes import Approach
from glassml.potential.rotations import rotation_errors
from glassml.potential.stability import Run

GREEN, AMBER, RED, UNKNOWN = "green", "amber", "red", "unknown"
ORDER = (GREEN, AMBER, RED)
MIN_CURVE = 3  # labels of a polymorph that make a curve


@dataclass(frozen=True)
class Result:
    """One number of a gate against its threshold; None where there is nothing to judge by."""

    gate: str
    name: str
    value: float | None
    threshold: float
    unit: str
    status: str
    note: str = ""


def judge(
    gate: str,
    name: str,
    value: float | None,
    *,
    threshold: float,
    unit: str,
    amber_factor: float,
    note: str = "",
) -> Result:
    """Judge a number that should be small: green up to the threshold, amber a factor above it."""
    if value is None:
        status = UNKNOWN
    elif not np.isfinite(value):
        status, value = RED, None
    elif value <= threshold:
        status = GREEN
    else:
        status = AMBER if value <= amber_factor * threshold else RED
    return Result(gate, name, value, threshold, unit, status, note)


def worst(results: Sequence[Result]) -> str:
    """Give the worst status that is known; "unknown" where none is."""
    known = [result.status for result in results if result.status != UNKNOWN]
    return max(known, key=ORDER.index, default=UNKNOWN)


def error_gate(
    errors: pd.DataFrame, thresholds: Mapping[str, float], amber_factor: float
) -> list[Result]:
    """Judge the mean absolute errors on test labels of liquid and glass.

    Parameters
    ----------
    errors
        Rows of `errors.csv` of all members.
    thresholds
        Of "energy" (meV/atom), "force" (eV/Å) and "stress" (GPa).
    amber_factor
        Width of the amber range.
    """
    rows = held_out_rows(errors)
    whose = "liquid and glass" if set(rows["group"]) == {"disordered"} else "labels"
    return [
        judge(
            "errors",
            f"{quantity}: mean absolute error on held-out {whose}, worst member",
            _largest(rows[rows["quantity"] == quantity]["mae"]),
            threshold=threshold,
            unit=UNITS[quantity],
            amber_factor=amber_factor,
        )
        for quantity, threshold in thresholds.items()
    ]


def _largest(values: pd.Series) -> float | None:
    return None if values.empty else float(values.max())


def energy_curves(frames: Sequence[Atoms], parity: pd.DataFrame) -> pd.DataFrame:
    """Collect labelled and predicted energies of undistorted crystals against volume.

    Parameters
    ----------
    frames
        All labelled configurations.
    parity
        Rows of `parity.csv` of all members, with a column `member`.

    Returns
    -------
    DataFrame
        polymorph, config_id, set, member, volume_A3_per_atom, label, prediction (eV/atom).
    """
    known = {
        atoms.info["config_id"]: {
            "polymorph": _polymorph(atoms),
            "volume_A3_per_atom": atoms.get_volume() / len(atoms),
        }
        for atoms in frames
        if atoms.info.get("config_type") in {"crystal", "strained"}
    }
    rows = parity[(parity["quantity"] == "energy") & parity["config_id"].isin(known)]
    table = rows[["config_id", "set", "member", "label", "prediction"]].copy()
    for column in ("polymorph", "volume_A3_per_atom"):
        table[column] = [known[name][column] for name in table["config_id"]]
    return table.sort_values(["polymorph", "member", "volume_A3_per_atom"], ignore_index=True)


def _polymorph(atoms: Atoms) -> str:
    """Give the name of the crystal: parents are {family}/{polymorph}/{cell}."""
    parts = str(atoms.info.get("parent", "")).split("/")
    return parts[1] if len(parts) > 2 else str(atoms.info.get("family", ""))


class _Allowed(TypedDict):
    threshold: float
    unit: str
    amber_factor: float


def curve_gate(curves: pd.DataFrame, threshold: float, amber_factor: float) -> list[Result]:
    """Judge energy against volume of each polymorph, and energies between polymorphs.

    The shape is the root mean square error after subtracting its mean; the level is the mean
    error minus that of the polymorph with most labels. Labels of all sets count, so this says
    whether the potential can describe the curves, and not whether it predicts them.
    """
    common: _Allowed = {
        "threshold": threshold,
        "unit": "meV/atom",
        "amber_factor": amber_factor,
    }
    if curves.empty:
        note = "no labels of undistorted crystals"
        return [judge("curves", "energy against volume", None, **common, note=note)]
    error = 1e3 * (curves["prediction"] - curves["label"])
    groups = curves.assign(error=error).groupby(["polymorph", "member"])["error"]
    mean = groups.mean()
    shape = groups.std(ddof=0).groupby("polymorph").max()
    count = curves.groupby("polymorph")["config_id"].nunique()
    reference = str(count.idxmax())
    results = []
    for polymorph in count.index:
        value = float(shape[polymorph]) if count[polymorph] >= MIN_CURVE else None
        note = f"{count[polymorph]} labels"
        results.append(judge("curves", f"{polymorph}: shape", value, **common, note=note))
        if polymorph != reference:
            level = float((mean.loc[polymorph] - mean.loc[reference]).abs().max())
            name = f"{polymorph} above {reference}"
            results.append(judge("curves", name, level, **common, note=note))
    return results


def approach_gate(
    approaches: Mapping[str, Sequence[Approach]],
    threshold_eV: float,
    reach_eV: float,
    amber_factor: float,
) -> list[Result]:
    """Judge whether energy only rises as atoms approach, for each member of a committee.

    Parameters
    ----------
    approaches
        By name of the member.
    threshold_eV
        What the energy may fall.
    reach_eV
        As in `Approach.hole`.
    amber_factor
        Width of the amber range.
    """
    return [
        judge(
            "dimers",
            f"{approach.name}, {member}: fall of the energy within {reach_eV:g} eV",
            approach.hole(reach_eV),
            threshold=threshold_eV,
            unit="eV",
            amber_factor=amber_factor,
        )
        for member, curves in approaches.items()
        for approach in curves
    ]


def phonon_gate(frequencies: pd.DataFrame, threshold: float, amber_factor: float) -> list[Result]:
    """Judge the frequencies of each crystal: root mean square error over modes, worst member.

    Parameters
    ----------
    frequencies
        From `glassml.potential.phonons.compare`, of all members and crystals.
    threshold
        In THz.
    amber_factor
        Width of the amber range.
    """
    results = []
    for crystal, rows in frequencies.groupby("crystal"):
        error = rows["prediction_THz"] - rows["label_THz"]
        rms = np.sqrt((error**2).groupby(rows["member"]).mean())
        lowest = rows.groupby("member")["prediction_THz"].min().min()
        results.append(
            judge(
                "phonons",
                f"{crystal}: error of the frequencies",
                float(rms.max()),
                threshold=threshold,
                unit="THz",
                amber_factor=amber_factor,
                note=f"{rows['label_THz'].nunique()} frequencies up to "
                f"{rows['label_THz'].max():.1f}, lowest {rows['label_THz'].min():.2f}, "
                f"predicted {lowest:.2f} THz",
            )
        )
    return results


def equation_gate(points: pd.DataFrame, thresholds: Equations, amber_factor: float) -> list[Result]:
    """Judge volumes, bulk moduli and relative energies of crystals at rest, worst member.

    Parameters
    ----------
    points
        From `glassml.potential.equations.energy_points`, of all members.
    thresholds
        What is green.
    amber_factor
        Width of the amber range.
    """
    worst_of: dict[tuple[str, str, str], tuple[float, str]] = {}
    for _, mine in points.groupby("member"):
        labels, found = curves(mine, "label_eV"), curves(mine, "prediction_eV")
        first = next(iter(labels))
        for polymorph in found:
            for key, value, note in _equation_errors(labels, found, polymorph, first):
                known = worst_of.get((polymorph, *key), (-1.0, ""))
                worst_of[polymorph, *key] = max(known, (value, note))
    return [
        judge(
            "equations",
            f"{polymorph}: {quantity}",
            value,
            threshold=getattr(thresholds, key),
            unit="%" if key.endswith("percent") else "meV/atom",
            amber_factor=amber_factor,
            note=note,
        )
        for (polymorph, quantity, key), (value, note) in worst_of.items()
    ]


def glass_gate(points: pd.DataFrame, thresholds: Glasses, amber_factor: float) -> list[Result]:
    """Judge the mean Si-O-Si angle and the volume of glasses at rest, worst member.

    Parameters
    ----------
    points
        From `glassml.potential.glasses.glass_points`, of all members.
    thresholds
        What is green.
    amber_factor
        Width of the amber range.
    """
    angle = (points["angle_deg"] - points["label_angle_deg"]).abs()
    volume = 100 * (points["volume_A3"] / points["label_volume_A3"] - 1).abs()
    results = []
    for quantity, errors, threshold, unit in (
        ("mean Si-O-Si angle", angle, thresholds.angle_deg, "°"),
        ("volume", volume, thresholds.volume_percent, "%"),
    ):
        worst_of = errors.fillna(float("inf")).groupby(points["glass"], sort=False).max()
        results += [
            judge(
                "glasses",
                f"{glass}: {quantity}",
                float(value),
                threshold=threshold,
                unit=unit,
                amber_factor=amber_factor,
                note="" if np.isfinite(value) else "does not come to rest",
            )
            for glass, value in worst_of.items()
        ]
    return results


def rotation_gate(points: pd.DataFrame, thresholds: Rotations, amber_factor: float) -> list[Result]:
    """Judge the energies of crystals along a rotation: largest error, worst member.

    Energies are taken above that of the lowest label, the same configuration for both, so that
    what labels and potential call zero does not matter.

    Parameters
    ----------
    points
        From `glassml.potential.rotations.rotation_points`, of all members.
    thresholds
        What is green.
    amber_factor
        Width of the amber range.
    """
    results = []
    for _, rows in points.groupby("parent", sort=False):
        members = [mine for _, mine in rows.groupby("member")]
        count = len(members[0])
        # numpy, as pandas would leave out an error that is not a number
        error = float(np.max([np.abs(rotation_errors(mine)) for mine in members]))
        results.append(
            judge(
                "rotations",
                f"{rows['crystal'].iloc[0]}: energy along the rotation",
                error if count >= MIN_CURVE else None,
                threshold=thresholds.energy_meV_per_atom,
                unit="meV/atom",
                amber_factor=amber_factor,
                note=f"{count} labels{_angle_range(rows['angle_deg'].dropna())}",
            )
        )
    return results


def _angle_range(angles_deg: pd.Series) -> str:
    if angles_deg.empty:
        return ""
    return f", mean Si-O-Si angle {angles_deg.min():.1f}° to {angles_deg.max():.1f}°"


def _equation_errors(
    labels: Mapping[str, Curve | None],
    found: Mapping[str, Curve | None],
    polymorph: str,
    first: str,
) -> list[tuple[tuple[str, str], float, str]]:
    """Give quantity, key of its threshold, error and note; errors of no curve are not used."""
    label, curve = labels[polymorph], found[polymorph]
    if label is None:
        return []
    keys = [("volume", "volume_percent"), ("bulk modulus", "modulus_percent")]
    if curve is None:
        return [(key, float("inf"), "no minimum") for key in keys]
    pairs = [(curve.volume, label.volume, "Å³ per SiO2"), (curve.modulus, label.modulus, "GPa")]
    errors = [
        (key, 100 * abs(a / b - 1), f"{a:.4g}, label {b:.4g} {unit}")
        for key, (a, b, unit) in zip(keys, pairs, strict=True)
    ]
    own, other = found[first], labels[first]
    if polymorph != first and own is not None and other is not None:
        a, b = (1e3 * (x.energy - y.energy) / 3 for x, y in ((curve, own), (label, other)))
        note = f"{a:.4g}, label {b:.4g} meV/atom"
        errors.append(((f"energy above {first}", "energy_meV_per_atom"), abs(a - b), note))
    return errors


def stability_gate(runs: Sequence[Run]) -> list[Result]:
    """Judge whether short dynamics went through without an unphysical event: green or red."""
    return [
        judge(
            "stability",
            f"{run.name}: share of {run.wanted_ps:g} ps lost",
            run.lost,
            threshold=0.0,
            unit="",
            amber_factor=1.0,
            note=run.event,
        )
        for run in runs
    ]


def calibration_gate(parity: pd.DataFrame, threshold: float, amber_factor: float) -> list[Result]:
    """Judge whether the committee's spread tells the size of its error, on test forces.

    The number is the root mean square error of the committee's mean over the root mean square
    deviation between members: near 1 the spread is calibrated, a large number is overconfidence.
    """
    found = calibration(parity)
    common: _Allowed = {"threshold": threshold, "unit": "", "amber_factor": amber_factor}
    name = "force error over committee spread"
    if found is None:
        members = parity["member"].nunique()
        note = "a committee of one has no spread" if members == 1 else "no test labels"
        return [judge("calibration", name, None, **common, note=note)]
    return [judge("calibration", name, found.ratio, **common, note=found.note)]


@dataclass(frozen=True)
class Calibration:
    """Root mean square of a committee's error over that of its spread, and more about it."""

    ratio: float
    note: str


def calibration(parity: pd.DataFrame) -> Calibration | None:
    """Compare spread and error of a committee on test forces; None with nothing to compare."""
    rows = parity[(parity["set"] == "test") & (parity["quantity"] == "force")]
    members = rows["member"].nunique()
    if members < 2:
        return None
    predictions = np.array([part["prediction"].to_numpy() for _, part in rows.groupby("member")])
    labels = rows[rows["member"] == rows["member"].iloc[0]]["label"].to_numpy()
    spread = predictions.std(axis=0, ddof=1)
    error = np.abs(predictions.mean(axis=0) - labels)
    size = float(np.sqrt(np.mean(spread**2)))
    ratio = float(np.sqrt(np.mean(error**2))) / size if size > 0 else float("inf")
    note = f"{members} members, spread {size:.3g} eV/Å"
    if spread.std() > 0 and error.std() > 0:
        note += f", correlation with the error {np.corrcoef(spread, error)[0, 1]:.2f}"
    return Calibration(ratio, note)


def as_record(results: Sequence[Result]) -> dict[str, object]:
    """Give what `gates.json` holds: the verdict, one per gate, and every number."""
    names = list(dict.fromkeys(result.gate for result in results))
    return {
        "status": worst(results),
        "gates": {name: worst([r for r in results if r.gate == name]) for name in names},
        "results": [asdict(result) for result in results],
    }


def from_record(record: Mapping[str, Any]) -> list[Result]:
    """Read results back from what `as_record` gave."""
    return [replace(Result("", "", None, 0.0, "", UNKNOWN), **row) for row in record["results"]]
