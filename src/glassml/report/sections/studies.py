"""Studies of training: generations, size of the neural network, number of labels."""

import numpy as np

from glassml.report.curves import plot_band
from glassml.report.figures import Canvas, colours, draw
from glassml.report.page import Block, Section, Table, with_error
from glassml.report.results import AbsentError, Results, add
from glassml.studies.glasses import CURVES, GLASS_COLUMNS, Q_RANGE_PER_A
from glassml.studies.training import ERROR_COLUMNS, ERRORS

SHARES = ("accurate", "candidate", "failed")
GLASS_VALUES = {
    "density, g/cm³": ("density_g_cm3", "density_error"),
    "Q1, 1/Å": ("Q1_per_A", "Q1_error"),
    "S(Q1)": ("S_Q1", "S_Q1_error"),
    "ring size": ("ring_size", "ring_size_error"),
    "sd of ring sizes": ("ring_size_sd", "ring_size_sd_error"),
}
HOURS = ("training", "exploration", "dft")
SECONDS_PER_HOUR = 3600.0


def add_studies(section: Section, results: Results) -> None:
    """Add what the campaign has of studies to the section of the potential."""
    if results.config.potential.generations > 1:
        add(section, results, "Generations", lambda: _generations(results))
    included = results.config.report.include
    if "search" in included:
        add(section, results, "Size of the neural network", lambda: _search(results))
        if results.config.potential.search.glasses:
            add(section, results, "Glasses of the variants", lambda: _search_glasses(results))
    if "learning_curve" in included:
        add(section, results, "Learning curve", lambda: _learning_curve(results))


def _generations(results: Results) -> list[Block]:
    rows = results.table("studies/generations.csv")
    table = rows[["generation", "train_labels", *ERROR_COLUMNS, *SHARES]]
    explored = table.dropna(subset=list(SHARES))

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots(2, 2).flat
        for axis, column, (quantity, unit) in zip(
            axes, ERROR_COLUMNS, ERRORS.items(), strict=False
        ):
            axis.plot(table.generation, table[column], "o-")
            largest = table[column].max()  # NaN without test labels
            axis.set_ylim(0.0, 1.15 * largest if largest > 0.0 else 1.0)
            axis.set_ylabel(f"{quantity} MAE, {unit}")
        below = np.zeros(len(explored))
        for share, colour in zip(SHARES, ("#009e73", "#e69f00", "#d55e00"), strict=True):
            axes[3].bar(explored.generation, explored[share], 0.6, below, color=colour, label=share)
            below += explored[share].to_numpy()
        axes[3].set(ylabel="share of asked configurations", ylim=(0.0, 1.0))
        canvas.legend(loc="outside lower center", ncols=3)
        for axis in axes:
            axis.set(xlabel="generation", xlim=(-0.5, table.generation.max() + 0.5))
            axis.set_xticks(table.generation)

    caption = (
        "What active learning changed: mean absolute errors of the worst member on the "
        f"{int(rows.test_labels.iloc[0])} test labels of generation 0, the same for all; and, of "
        "the configurations that an exploration met, the shares whose estimated error was small "
        "(accurate), worth a label (candidate) or beyond use (failed). The last generation "
        "explores nothing."
    )
    figure = draw("generations", "Generations", caption, table, paint, size=(7.2, 4.8))
    counts = ["generation", "train_labels", "trajectories", "stopped", "selected", "labelled"]
    costs = rows[counts].astype("Int64").astype(object).where(rows[counts].notna(), None)
    hours = {f"{what}_h": rows[f"{what}_s"] / SECONDS_PER_HOUR for what in HOURS}
    text = (
        "What each generation explored, which of it was labelled, and what it cost: hours of "
        "training (sum over members), of exploration and of labels."
    )
    return [
        figure,
        Table("generations_cost", "Cost of generations", text, costs.assign(**hours), 3),
    ]


def _search(results: Results) -> list[Block]:
    rows = results.table("studies/search/search.csv")
    cost, error = "ms_per_atom_step", "force_mae_eV_per_A"
    table = rows[["variant", cost, error, "pareto"]].sort_values(cost, ignore_index=True)
    if table[error].isna().all():
        raise AbsentError("there are no test labels to judge the variants by")

    def paint(canvas: Canvas) -> None:
        axis = canvas.subplots()
        front = table[table.pareto]
        axis.plot(front[cost], front[error], color="#d55e00", lw=0.9, zorder=1)
        for best, part in table.groupby("pareto"):
            name = "no other is faster and better" if best else "others"
            colour = "#d55e00" if best else "0.6"
            axis.scatter(part[cost], part[error], color=colour, label=name, zorder=2)
        for name, x, y in zip(table.variant, table[cost], table[error], strict=True):
            axis.annotate(name, (x, y), (5, 4), textcoords="offset points", fontsize=9)
        axis.set(xscale="log", xlabel="time per atom and step, ms")
        axis.set_ylabel("force MAE on test labels, eV/Å")
        axis.margins(x=0.12, y=0.12)
        axis.legend()

    atoms = results.config.potential.search.atoms
    caption = (
        "Mean absolute error of forces on test labels against the time of an evaluation, in a box "
        f"of {atoms} atoms or somewhat more on {' and '.join(sorted(set(rows.device)))}, not "
        "compiled. Each variant was trained once, from the same labels. The line joins those than "
        "which none is both faster and better."
    )
    figure = draw("size_search", "Size of the neural network", caption, table, paint)
    text = (
        "Variants of the size search, their training, and mean absolute errors on test labels. A "
        "difference between two of them has the scatter of single trainings."
    )
    variants = rows.drop(columns=list(GLASS_COLUMNS))
    return [figure, Table("size_search_networks", "Variants of the size search", text, variants, 3)]


def _search_glasses(results: Results) -> list[Block]:
    rows = results.table("studies/search/search.csv")
    table = results.table("studies/search/search_glasses.csv")
    variants = table.groupby("variant", sort=False)

    def paint(canvas: Canvas) -> None:
        factor, rings = canvas.subplots(1, 2)
        width = 0.8 / variants.ngroups
        for index, (name, each) in enumerate(variants):
            colour = colours(variants.ngroups)[index]
            sq, sizes = (each[each.curve == curve] for curve in CURVES)
            sq = sq.rename(columns={"error": "value_error"})
            plot_band(factor, sq, "x", "value", colour, label=name)
            place = sizes.x + width * (index - (variants.ngroups - 1) / 2)
            thin = {"elinewidth": 0.8}
            rings.bar(place, sizes.value, width, yerr=sizes.error, color=colour, error_kw=thin)
        factor.set(xlim=Q_RANGE_PER_A, xlabel="Q, 1/Å", ylabel="neutron S(Q)")
        rings.set(xlabel="Si atoms in a King ring", ylabel="share of King rings")
        factor.legend()

    first = next(iter(results.config.md.states))
    caption = (
        f"What a variant does to the glass: state {first}, made anew by each of them "
        "from the same beginning. Neutron structure factor around the first sharp diffraction "
        "peak, and sizes of King rings; means over glasses with their standard errors."
    )
    title = "Glasses of the variants"
    figure = draw("size_search_glasses", title, caption, table, paint, size=(8.4, 3.8))
    made = rows.loc[rows.glasses.notna(), ["variant", *GLASS_COLUMNS]].astype({"glasses": int})
    text = (
        "Density, position and height of the fitted first peak of the mean neutron S(Q), mean "
        "size of King rings and the standard deviation of their sizes, each with its standard "
        "error over glasses."
    )
    shown = made[["variant", "glasses"]].assign(
        **{
            name: [with_error(*pair) for pair in made[[value, error]].to_numpy()]
            for name, (value, error) in GLASS_VALUES.items()
        }
    )
    title = "Density, first peak and rings by variant"
    return [figure, Table("size_search_observables", title, text, made, shown=shown)]


def _learning_curve(results: Results) -> list[Block]:
    rows = results.table("studies/learning_curve/learning_curve.csv")
    fits = results.table("studies/learning_curve/learning_curve_fit.csv")
    if rows[list(ERROR_COLUMNS)].isna().all(axis=None):
        raise AbsentError("there are no test labels to judge the trainings by")
    by_quantity = fits.set_index("quantity")
    # A power law is straight on logarithmic axes: its values at the points are the line.
    lines = {
        f"{quantity}_fit": fit.at_1000_labels * (rows.labels / 1000.0) ** -fit.exponent
        for quantity, fit in by_quantity.iterrows()
    }
    table = rows.assign(**lines)

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots(1, 3)
        for axis, column, (quantity, unit) in zip(axes, ERROR_COLUMNS, ERRORS.items(), strict=True):
            fit = by_quantity.loc[quantity]
            axis.plot(table.labels, table[column], "o", label="errors")
            axis.plot(table.labels, table[f"{quantity}_fit"], color="C0", lw=0.9, label="power law")
            axis.axhline(fit.target, color="C2", ls="--", lw=0.9, label="target")
            if np.isfinite(fit.exponent):
                axis.set_title(f"labels$^{{{-fit.exponent:.2f}}}$")
            axis.set(xscale="log", yscale="log", xlabel="training labels")
            axis.set_ylabel(f"{quantity} MAE, {unit}")
        handles, names = axes[0].get_legend_handles_labels()
        canvas.legend(handles, names, loc="outside lower center", ncols=3)

    caption = (
        "Learning curve: mean absolute errors on the same test labels against the number of "
        "training labels, each set within the next, with as many steps and one training each. "
        "Lines are fitted power laws; targets are the thresholds of the gate."
    )
    figure = draw("learning_curve", "Learning curve", caption, table, paint, size=(9.0, 3.5))
    text = (
        "Fit of error = e (labels/1000)^-b, where the target is met, and by how many labels: far "
        "beyond the largest training an order of magnitude. A dash: the error does not fall."
    )
    return [figure, Table("learning_curve_fit", "Fit of the learning curve", text, fits, 3)]
