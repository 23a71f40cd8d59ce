"""What was run, and the labels that came of it."""

import pandas as pd

from glassml.report.curves import legend_beside
from glassml.report.figures import Figure, draw
from glassml.report.page import Block, Section, Table, Text
from glassml.report.results import Results, add

SHOWN_SETTINGS = (
    ("xc", "Exchange-correlation functional"),
    ("cutoff_eV", "Plane-wave cutoff, eV"),
    ("kpoint_spacing_per_A", "Largest k-point spacing, 1/Å"),
    ("smearing_eV", "Fermi-Dirac width, eV"),
    ("density_tolerance", "SCF: density, electrons per valence electron"),
    ("energy_tolerance_eV", "SCF: energy, eV per valence electron"),
    ("max_iterations", "SCF: iterations before a recipe counts as failed"),
)


def campaign_section(results: Results) -> Section:
    """Tell what was asked for and what became of it."""
    section = Section("campaign", "What was run")
    section.blocks.append(Text(_overview(results)))
    add(section, results, "Labels", lambda: _families(results))
    add(section, results, "Settings of the calculations", lambda: _settings(results))
    add(section, results, "Recipes", lambda: _recipes(results))
    add(section, results, "Configurations that were set aside", lambda: _failures(results))
    add(section, results, "Cost of a label", lambda: _cost(results))
    if results.config.dft.convergence.families:
        add(section, results, "Convergence of the labels", lambda: _convergence(results))
    if results.config.dft.polymorphs.names:
        add(section, results, "Crystals by the labels' settings", lambda: _polymorphs(results))
    return section


def _overview(results: Results) -> str:
    config = results.config
    families = config.configurations.families
    count = sum(family.count for family in families.values())
    md, potential = config.md, config.potential
    formula = "".join(
        f"{symbol}{number if number > 1 else ''}" for symbol, number in md.composition.items()
    )
    way = {
        "scratch": "trained from scratch",
        "finetune": "fine-tuned from a package",
        "given": "given as a package",
    }[potential.mode]
    return (
        f"{count} configurations in {_count(len(families), 'family', 'families')} were labelled by "
        f"density-functional theory; {_count(potential.committee, 'NequIP potential')} "
        f"{'was' if potential.committee == 1 else 'were'} {way}; "
        f"{_count(md.glasses, 'independent glass', 'independent glasses')} of "
        f"{md.atoms} atoms ({formula}) went through {_count(len(md.states), 'state')}. "
        f"All random numbers derive from the seed {config.seed}."
    )


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def label_rows(results: Results) -> pd.DataFrame:
    """Give one row per configuration, of all shards."""
    return results.tables("dft/*/[0-9][0-9][0-9][0-9].csv", "tables of labels")


def _families(results: Results) -> Table:
    rows = label_rows(results)
    asked = results.config.configurations.families
    table = pd.DataFrame(
        [
            {
                "family": name,
                "generator": family.generator,
                "asked for": family.count,
                "labelled": int(((rows.family == name) & (rows.status == "converged")).sum()),
                "set aside": int(((rows.family == name) & (rows.status != "converged")).sum()),
                "atoms": _span(rows.atoms[rows.family == name]),
                "core time_s": float(rows.seconds[rows.family == name].sum()),
            }
            for name, family in asked.items()
        ]
    )
    caption = (
        "Configurations by family. Core time is what the labels cost when they were calculated, "
        "also where this campaign took them from the label store."
    )
    return Table("families", "Families of configurations", caption, table)


def _span(values: pd.Series) -> str:
    if values.empty:
        return "–"
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low}–{high}"


def _settings(results: Results) -> Table:
    dft = results.config.dft
    table = pd.DataFrame(
        [{"setting": text, "value": str(getattr(dft, name))} for name, text in SHOWN_SETTINGS]
    )
    caption = (
        "Settings of GPAW in plane-wave mode. PBEsol uses the PAW setups of PBE: total energies "
        "carry a constant per atom, which cancels in differences and in the potential's shifts."
    )
    return Table("dft_settings", "Settings of the calculations", caption, table)


def _recipes(results: Results) -> Table:
    rows = label_rows(results)
    counted = rows[rows.status == "converged"].recipe.fillna("imported").value_counts()
    table = counted.rename_axis("recipe").reset_index(name="labels")
    caption = (
        "Recipe by which each label converged. They are tried in the order of the configuration; "
        "what none of them converges is set aside, and never used."
    )
    return Table("recipes", "Recipes", caption, table)


def _failures(results: Results) -> Table | Text:
    rows = label_rows(results)
    failed = rows[rows.status != "converged"]
    if failed.empty:
        return Text("No configuration was set aside.")
    for reason, group in failed.groupby("reason"):
        results.warn(f"{_count(len(group), 'configuration')} set aside: {reason}")
    table = failed[["config_id", "config_type", "atoms", "status", "reason"]]
    caption = "Configurations without a label. They are in no data set."
    return Table("set_aside", "Configurations that were set aside", caption, table)


def _cost(results: Results) -> Figure | Text:
    rows = label_rows(results)
    shown = rows[(rows.status == "converged") & (rows.seconds > 0)]
    if shown.empty:
        return Text("No label says what it cost: they came with the campaign.")
    table = shown[["config_id", "family", "atoms", "seconds", "iterations"]].reset_index(drop=True)

    def paint(canvas) -> None:  # noqa: ANN001
        axes = canvas.subplots()
        for family, group in table.groupby("family"):
            axes.scatter(group.atoms, group.seconds, s=16, alpha=0.75, lw=0, label=family)
        scale = "log" if table.seconds.max() > 8 * table.seconds.min() else "linear"
        axes.set(xlabel="atoms", ylabel="core time per label, s", yscale=scale)
        legend_beside(axes)

    caption = (
        f"Core seconds of each of {len(table)} labels on the machine that calculated it, all "
        "recipes that were tried included."
    )
    return draw("label_cost", "Cost of a label", caption, table, paint, size=(7.2, 3.2))


def _convergence(results: Results) -> Figure:
    caption = (
        "Each parameter varied alone, errors against its finest value: energy differences to the "
        "first structure, the largest error of a force component and of a stress component. "
        "Dashed: the targets; grey: the production settings."
    )
    return Figure(
        "dft_convergence",
        "Convergence of the labels",
        caption,
        results.table("dft/convergence.csv"),
        results.path("dft/convergence.png").read_bytes(),
    )


def _polymorphs(results: Results) -> list[Block]:
    caption = (
        "Energy against volume of crystals at rest, positions and shape relaxed at each volume "
        "(points), with Birch-Murnaghan fits (lines), relative to the lowest minimum."
    )
    curves = Figure(
        "dft_polymorphs",
        "Equations of state of crystals",
        caption,
        results.table("dft/polymorph_volumes.csv"),
        results.path("dft/polymorphs.png").read_bytes(),
    )
    rows = results.table("dft/polymorphs.csv")
    per_formula = "Å³ per SiO₂"
    table = pd.DataFrame(
        {
            "polymorph": rows.polymorph,
            f"V, {per_formula}": _with_error(rows, "volume", "_A3_per_SiO2", 2),
            f"V measured, {per_formula}": rows.measured_volume_A3_per_SiO2,
            "K, GPa": _with_error(rows, "bulk_modulus", "_GPa", 1),
            "K measured, GPa": rows.measured_bulk_modulus_GPa,
            "E above quartz, eV per SiO₂": rows.energy_above_quartz_eV_per_SiO2,
            "E measured, eV per SiO₂": rows.measured_energy_above_quartz_eV_per_SiO2,
            "a, Å": rows.a_A,
            "b, Å": rows.b_A,
            "c, Å": rows.c_A,
        }
    )
    caption = (
        "Crystals at the minimum of the fitted curve. Errors: leaving out one volume at a time. "
        "Measured values belong to room temperature, calculated ones to 0 K without zero-point "
        "motion."
    )
    return [curves, Table("polymorphs", "Crystals by the labels' settings", caption, table)]


def _with_error(rows: pd.DataFrame, quantity: str, unit: str, digits: int) -> list[str]:
    pairs = zip(rows[f"{quantity}{unit}"], rows[f"{quantity}_error{unit}"], strict=True)
    return [f"{value:.{digits}f} ± {error:.{digits}f}" for value, error in pairs]
