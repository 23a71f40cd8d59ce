"""One function per figure, each on a matplotlib axis, from arrays or from the rows of the tables.

Rows are those of the summary's CSVs, as `csv.DictReader` or `summary.read_table` give them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

Rows = Sequence[dict[str, str]]
PARTIALS = ("Si-Si", "Si-O", "O-O")
STYLES = ("-", "--", "-.", ":")
MARKERS = "osD^vP*X"
# For `matplotlib.rc_context`: as figures in journals of the field are drawn.
STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.linewidth": 0.8,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.minor.visible": True,
    "ytick.minor.visible": True,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def numbers(rows: Rows, column: str) -> np.ndarray:
    """Take a column as numbers; what is empty or not there becomes NaN."""
    return np.array([float(row.get(column) or "nan") for row in rows])


def choose(rows: Rows, **wanted: Any) -> list[dict[str, str]]:
    """Choose the rows whose columns have the given values."""
    return [row for row in rows if all(row[key] == str(value) for key, value in wanted.items())]


def smooth(q: np.ndarray, values: np.ndarray, counts: np.ndarray, width: float) -> np.ndarray:
    """Average neighbouring bins with a Gaussian of standard deviation `width`, for the eye."""
    from glassml.structure.sq import broaden  # noqa: PLC0415 - numba, not for every figure

    return broaden(q, values, counts, width * np.sqrt(8 * np.log(2)))


def smooth_error(q: np.ndarray, error: np.ndarray, counts: np.ndarray, width: float) -> np.ndarray:
    """Give the standard error after `smooth`, bins being independent: √Σ(w σ)² / Σ w."""
    weight = np.where(counts > 0, counts, max(counts.max(), 1.0))
    kernel = np.exp(-0.5 * ((q[:, None] - q[None, :]) / width) ** 2) * weight
    return np.sqrt(kernel**2 @ error**2) / kernel.sum(axis=1)


def plot_structure_factor(
    axis: Axes, rows: Rows, column: str = "neutron", label: str | None = None, width: float = 0.0
) -> None:
    """Draw a total or partial S(Q) with its standard error over glasses as a band.

    Parameters
    ----------
    rows
        Of one state, from `sq.csv`.
    column
        "neutron", "xray", "Si-Si", "Si-O", "O-O", "NN", "NC" or "CC".
    width
        Gaussian smoothing in Å⁻¹ (standard deviation); 0 for none.
    """
    q, values = numbers(rows, "q_per_A"), numbers(rows, column)
    error = np.nan_to_num(numbers(rows, f"{column}_error"))
    if width > 0:
        counts = numbers(rows, "counts")
        values, error = smooth(q, values, counts, width), smooth_error(q, error, counts, width)
    (line,) = axis.plot(q, values, lw=1.2, label=label)
    if error.any():
        low, high = values - error, values + error
        axis.fill_between(q, low, high, color=line.get_color(), alpha=0.25, lw=0)
    axis.set_xlabel("Q (Å⁻¹)")
    names = {"neutron": "$S_N(Q)$", "xray": "$S_X(Q)$"}
    name = names.get(column, f"$S_{{\\rm {column}}}(Q)$")
    axis.set_ylabel(name if axis.get_ylabel() in ("", name) else "$S(Q)$")


def plot_partials(axis: Axes, rows: Rows, offset: float = 2.0, width: float = 0.0) -> None:
    """Draw the three Faber-Ziman partials above each other, `offset` apart."""
    for index, pair in enumerate(PARTIALS):
        q, values = numbers(rows, "q_per_A"), numbers(rows, pair)
        if width > 0:
            values = smooth(q, values, numbers(rows, "counts"), width)
        axis.plot(q, values + index * offset, lw=1.2, label=pair)
        axis.axhline(1 + index * offset, color="0.7", lw=0.6, zorder=0)
    axis.set_xlabel("Q (Å⁻¹)")
    axis.set_ylabel(f"$S_{{ab}}(Q)$, each shifted by {offset:g}")
    axis.legend(frameon=False)


def plot_fsdp(
    axis: Axes,
    rows: Rows,
    weighting: str = "neutron",
    fit: dict[str, str] | None = None,
    label: str | None = None,
    window: tuple[float, float] = (0.6, 2.6),
    width: float = 0.03,
) -> None:
    """Draw S(Q) around the first peak, with its fitted position and height.

    Parameters
    ----------
    rows
        Of one state, from `sq.csv`.
    fit
        The row of `fsdp.csv` for Q1, if there is one.
    """
    plot_structure_factor(axis, rows, weighting, label, width)
    if fit is not None and fit["position"]:
        position, height = (float(fit[key] or "nan") for key in ("position", "height"))
        errors = [
            np.nan_to_num(float(fit[f"{key}_error"] or "nan")) for key in ("position", "height")
        ]
        axis.errorbar(
            position,
            height,
            xerr=errors[0],
            yerr=errors[1],
            fmt="o",
            ms=4,
            color=axis.lines[-1].get_color(),
            capsize=2,
        )
    axis.set_xlim(*window)


def plot_pair_distribution(
    axis: Axes, rows: Rows, column: str = "neutron", label: str | None = None
) -> None:
    """Draw g(r), or T(r) ("T_neutron_per_A2") or D(r) ("D_neutron_per_A2"), from `gr.csv`."""
    axis.plot(numbers(rows, "r_A"), numbers(rows, column), lw=1.2, label=label)
    names = {"T_neutron_per_A2": "T(r) (Å⁻²)", "D_neutron_per_A2": "D(r) (Å⁻²)"}
    axis.set_xlabel("r (Å)")
    axis.set_ylabel(names.get(column, "g(r)"))


def plot_angles(axis: Axes, rows: Rows, angle: str = "Si-O-Si", label: str | None = None) -> None:
    """Draw a bond-angle distribution from `angles.csv`."""
    axis.plot(numbers(rows, "angle_deg"), numbers(rows, f"{angle}_per_deg"), lw=1.2, label=label)
    axis.set_xlim(60, 180)
    axis.set_xlabel(f"{angle} (°)")
    axis.set_ylabel("probability (1/°)")


def plot_ring_histogram(
    axis: Axes, tables: dict[str, Rows], criterion: str, column: str = "per_si"
) -> None:
    """Draw rings of each size as bars, one colour per state.

    Parameters
    ----------
    tables
        Rows of `rings.csv` by label, e.g. by state.
    column
        "per_si" or "fraction".
    """
    width = 0.8 / max(len(tables), 1)
    for index, (label, rows) in enumerate(tables.items()):
        chosen = choose(rows, criterion=criterion)
        sizes, values = numbers(chosen, "size"), numbers(chosen, column)
        error = np.nan_to_num(numbers(chosen, f"{column}_error"))
        place = sizes + (index - (len(tables) - 1) / 2) * width
        axis.bar(place, values, width, yerr=error, label=label, error_kw={"lw": 0.8})
    axis.set_xlabel(f"Si atoms in ring ({criterion})")
    axis.set_ylabel("rings per Si" if column == "per_si" else "fraction of rings")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def plot_ring_shape(
    axis: Axes,
    tables: dict[str, Rows],
    criterion: str,
    observable: str = "aspect_ratio",
    atoms: str = "Si+O",
    sizes: tuple[int, int] = (3, 10),
) -> None:
    """Draw a shape's mean against ring size, with standard errors over glasses.

    Parameters
    ----------
    tables
        Rows of `ring_shape.csv` by label, e.g. by state.
    observable
        "aspect_ratio" (l2/l3), "roughness", "l1_A", "l2_A" or "l3_A".
    """
    for index, (label, rows) in enumerate(tables.items()):
        chosen = [
            row
            for row in choose(rows, criterion=criterion, atoms=atoms)
            if sizes[0] <= int(row["size"]) <= sizes[1]
        ]
        error = np.nan_to_num(numbers(chosen, f"{observable}_mean_error"))
        axis.errorbar(
            numbers(chosen, "size"),
            numbers(chosen, f"{observable}_mean"),
            yerr=error,
            marker=MARKERS[index % len(MARKERS)],
            ms=4,
            lw=1.0,
            capsize=2,
            label=label,
        )
    names = {"aspect_ratio": "aspect ratio $l_2/l_3$", "roughness": "roughness"}
    unit = f"$l_{observable[1]}$ (Å)"
    axis.set_xlabel(f"Si atoms in ring ({criterion}, {atoms})")
    axis.set_ylabel(names.get(observable, unit))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def plot_ring_aspects(axis: Axes, rows: Rows, criterion: str, sizes: Sequence[int]) -> None:
    """Draw the distributions of l2/l3 for some ring sizes, from `ring_aspect.csv`."""
    for size in sizes:
        chosen = choose(rows, criterion=criterion, size=size)
        values = numbers(chosen, "density")
        axis.plot(numbers(chosen, "aspect_ratio"), values, lw=1.2, label=f"{size} Si")
    axis.set_xlim(0.4, 1.0)
    axis.set_xlabel("aspect ratio $l_2/l_3$")
    axis.set_ylabel("probability density")
    axis.legend(frameon=False)


def plot_ring_centres(
    axis: Axes,
    rows: Rows,
    sizes: Sequence[int | str] = ("all",),
    column: str = "centre-centre",
    width: float = 0.05,
    label: str | None = None,
) -> None:
    """Draw S(Q) of ring centres, from `ring_centre_sq.csv`.

    Parameters
    ----------
    sizes
        "all" and/or ring sizes.
    column
        "centre-centre", "centre-Si", "centre-O", or "contribution" to S(Q) of all centres.
    width
        Gaussian smoothing in Å⁻¹ (standard deviation); 0 for none.
    """
    for index, size in enumerate(sizes):
        chosen = choose(rows, size=size)
        if not chosen:
            continue
        q, values = numbers(chosen, "q_per_A"), numbers(chosen, column)
        if width > 0:
            values = smooth(q, values, numbers(chosen, "counts"), width)
        name = label if label is not None else (f"{size} Si" if size != "all" else "all rings")
        axis.plot(q, values, STYLES[index % len(STYLES)], lw=1.2, label=name)
    axis.set_xlabel("Q (Å⁻¹)")
    axis.set_ylabel(f"S(Q), ring {column}")


def plot_kono_z(axis: Axes, rows: Rows, label: str | None = None) -> None:
    """Draw the distribution of z, 5th Si minus 4th O distance, from `kono_z.csv`."""
    axis.plot(numbers(rows, "z_A"), numbers(rows, "density_per_A"), lw=1.2, label=label)
    axis.set_xlabel("z (Å)")
    axis.set_ylabel("probability (1/Å)")
