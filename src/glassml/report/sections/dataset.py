"""The data set: what the potential was trained, validated and tested on."""

from glassml.report.page import Section, Table, Text
from glassml.report.results import Results, add

SETS = ("train", "validation", "test")
RANGES = {
    ("density", "g_cm3"): ("density, g/cm³", 2),
    ("pressure", "GPa"): ("pressure, GPa", 0),
    ("energy", "eV_per_atom"): ("energy, eV/atom", 2),
}


def dataset_section(results: Results) -> Section:
    """Tell sizes, ranges and the isolated atoms of the data set."""
    section = Section("dataset", "Data set")
    folder = results.last("dataset")
    add(section, results, "Statistics", lambda: _statistics(results, folder))
    add(section, results, "Isolated atoms", lambda: _isolated(results, folder))
    return section


def _statistics(results: Results, folder: str) -> Table:
    table = results.table(f"{folder}/statistics.csv")
    caption = (
        "The split is by parent, so that near-copies of one structure are never in two sets. "
        "Ranges are over all labels of a family; energies are GPAW's, with the constant of the PAW "
        "setups. The file has forces too."
    )
    shown = table[[name for name in ("family", "parents", *SETS, "excluded") if name in table]]
    for name, (title, decimals) in RANGES.items():
        if f"{name[0]}_min_{name[1]}" in table:
            low, high = (table[f"{name[0]}_{end}_{name[1]}"] for end in ("min", "max"))
            text = [_span(*pair, decimals) for pair in zip(low, high, strict=True)]
            shown = shown.assign(**{title: text})
    return Table("dataset", "Statistics of the data set", caption, table, shown=shown)


def _span(low: float, high: float, decimals: int) -> str:
    """Write a range; a dash where nothing is known."""
    if low != low or high != high:  # noqa: PLR0124 - NaN
        return "–"
    one, other = f"{low:.{decimals}f}", f"{high:.{decimals}f}"
    return (one if one == other else f"{one} … {other}").replace("-", "−")


def _isolated(results: Results, folder: str) -> Text:
    energies = results.json(f"{folder}/isolated_atoms.json")
    if not energies:
        results.warn("No isolated atoms in the data set: the potential's shifts were fitted.")
        return Text("The data set has no isolated atoms.")
    values = ", ".join(f"{symbol} {energy:.4f} eV" for symbol, energy in sorted(energies.items()))
    return Text(f"Energies of isolated, spin-polarised atoms with the same settings: {values}.")
