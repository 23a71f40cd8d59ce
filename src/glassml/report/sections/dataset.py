"""The data set: what the potential was trained, validated and tested on."""

from glassml.report.page import Section, Table, Text
from glassml.report.results import Results, add

SETS = ("train", "validation", "test")


def dataset_section(results: Results) -> Section:
    """Tell sizes, ranges and the isolated atoms of the data set."""
    section = Section("dataset", "Data set")
    folder = f"dataset/g{results.config['potential']['generations'] - 1}"
    add(section, results, "Statistics", lambda: _statistics(results, folder))
    add(section, results, "Isolated atoms", lambda: _isolated(results, folder))
    return section


def _statistics(results: Results, folder: str) -> Table:
    table = results.table(f"{folder}/statistics.csv")
    caption = (
        "The split is by parent, so that near-copies of one structure are never in two sets. "
        "Energies include the constant of the PAW setups."
    )
    return Table("dataset", "Statistics of the data set", caption, table)


def _isolated(results: Results, folder: str) -> Text:
    energies = results.json(f"{folder}/isolated_atoms.json")
    if not energies:
        results.warn("No isolated atoms in the data set: the potential's shifts were fitted.")
        return Text("The data set has no isolated atoms.")
    values = ", ".join(f"{symbol} {energy:.4f} eV" for symbol, energy in sorted(energies.items()))
    return Text(f"Energies of isolated, spin-polarised atoms with the same settings: {values}.")
