"""All observables of one glass in one state, from its frames; and the files that hold them."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from tqdm import tqdm

from glassml.campaign.config.structure import Structure
from glassml.campaign.errors import StructureError
from glassml.campaign.files import write_csv, write_json
from glassml.structure.bonds import bonds_kept
from glassml.structure.frames import check_bulk
from glassml.structure.fsdp import PEAK_RANGES, NoPeakError, fit_options, fit_peak
from glassml.structure.homology import diagram_rows, loop_statistics, persistence_diagram
from glassml.structure.observables import (
    BondRule,
    FactorObservables,
    NetworkMeans,
    NetworkObservables,
    PairMeans,
    PairObservables,
    RingMeans,
    RingObservables,
    check_one_composition,
    mean_over,
)
from glassml.structure.rings.centres import (
    centre_pair_distribution,
    centre_structure_factor,
    contributions,
)
from glassml.structure.rings.search import Rings
from glassml.structure.rings.shape import ATOMS, slope_of_l2
from glassml.structure.scattering import WEIGHTINGS, bhatia_thornton
from glassml.structure.species import elements_of
from glassml.structure.sq import StructureFactor
from glassml.structure.statistics import curve_error, mean_and_error
from glassml.structure.tables import COLUMNS, ELEMENTS, PAIRS, Row, row_of, rows_of
from glassml.structure.voids import void_statistics

LOG = logging.getLogger(__name__)
ANGLE_BIN, Z_BIN = 1.0, 0.05


#: JSON files by name.
Documents = dict[str, dict[str, Any]]


def analyse_glass(
    frames: Iterable[Atoms],
    section: Structure,
    progress: bool = False,
    parent: Atoms | None = None,
) -> tuple[Documents, dict[str, list[Row]]]:
    """Compute all observables of a glass.

    Parameters
    ----------
    frames
        Frames of one state of one glass.
    section
        What is computed.
    progress
        Whether to show a progress bar.
    parent
        Where the run began: the end of the state before. `bonds_kept` is measured against it.

    Returns
    -------
    documents
        "network.json" and "fsdp.json", ready to write.
    tables
        Rows of each file of `COLUMNS`.

    Raises
    ------
    StructureError
        If the frames are not silica, or are no bulk. A peak or rings that are not there are no
        error.
    """
    frames = list(frames)
    _check_silica(frames)
    rule = BondRule(section.cutoff_A, ELEMENTS[:1], ELEMENTS[1:]).settled(frames)
    bar = tqdm(total=2 + len(section.ring_criteria), desc="structure", disable=not progress)
    document, tables = _network(mean_over(NetworkObservables(rule), frames), frames)
    if parent is not None:
        kept = bonds_kept(rule.bonds(parent), rule.bonds(frames[-1]))
        document["observables"]["bonds_kept"] = {"mean": kept, "error": None}
    tables["homology.csv"] = _add_loops(document["observables"], frames[-1])
    tables["gr.csv"] = _pair_rows(
        mean_over(PairObservables(section.r_max_A, section.r_bin_A), frames)
    )
    bar.update()
    factor = mean_over(
        FactorObservables(section.q_max_per_A, section.q_bin_per_A, section.q_lattice_per_A), frames
    )
    tables["sq.csv"] = structure_factor_rows(factor)
    fsdp = peaks(factor, section)
    bar.update()
    for name in ("rings.csv", "ring_shape.csv", "ring_slope.csv", "ring_aspect.csv"):
        tables[name] = []
    for name in ("ring_centre_sq.csv", "ring_centre_gr.csv"):
        tables[name] = []
    for criterion in section.ring_criteria:
        rings = mean_over(RingObservables(criterion, section.max_ring_size, rule), frames)
        _add_ring_rows(tables, rings, criterion)
        if criterion == section.ring_criteria[0]:
            _add_centre_rows(tables, rings.frames[-1], section)
        bar.update()
    bar.close()
    return {"network.json": document, "fsdp.json": fsdp}, tables


def _check_silica(frames: Sequence[Atoms]) -> None:
    """Refuse what the campaign's tables have no columns for, and what is no bulk."""
    if tuple(elements_of(frames[0])) != ELEMENTS:
        raise StructureError(
            f"a campaign's glass is of {' and '.join(ELEMENTS)}; this is "
            f"{frames[0].get_chemical_formula()} (the commands on files take any elements)"
        )
    check_one_composition(frames)
    check_bulk(frames[-1])


def set_aside(reason: str) -> tuple[Documents, dict[str, list[Row]]]:
    """Give the files of a glass that cannot be analysed: the reason, and empty tables."""
    nothing = {"position": None, "reason": reason}
    fsdp = {weighting: dict.fromkeys(PEAK_RANGES, nothing) for weighting in WEIGHTINGS}
    documents: Documents = {
        "network.json": {"status": "set aside", "reason": reason},
        "fsdp.json": fsdp,
    }
    return documents, {name: [] for name in COLUMNS}


def write_glass(
    directory: str | Path, documents: Mapping[str, object], tables: Mapping[str, Sequence[Row]]
) -> None:
    """Write the files of a glass, each atomically."""
    directory = Path(directory)
    for name, document in documents.items():
        write_json(directory / name, document)
    for name, columns in COLUMNS.items():
        write_csv(directory / name, tables[name], columns)


def _network(
    means: NetworkMeans, frames: Sequence[Atoms]
) -> tuple[dict[str, Any], dict[str, list[Row]]]:
    """Network observables: their mean and standard error over frames."""
    edges = np.arange(0.0, 180.0 + ANGLE_BIN, ANGLE_BIN)
    z_edges = np.arange(-2.0, 4.0 + Z_BIN / 2, Z_BIN)
    angle_columns = [(edges[1:] + edges[:-1]) / 2]
    for name in ("O-Si-O", "Si-O-Si"):
        curves = np.array([_density(frame.angles[name], edges) for frame in means.frames])
        angle_columns += [curves.mean(axis=0), curve_error(curves)]
    z = np.array([_density(frame.z, z_edges) for frame in means.frames])
    z_columns = [(z_edges[1:] + z_edges[:-1]) / 2, z.mean(axis=0), curve_error(z)]
    document: dict[str, Any] = {
        "status": "analysed",
        "reason": None,
        "frames": len(frames),
        "atoms": len(frames[-1]),
        "si": len(means.frames[-1].z),
        "cutoff_A": means.frames[-1].cutoff,
        "voids": void_statistics(frames[-1]),
        "observables": {
            name: {"mean": mean, "error": means.error[name]} for name, mean in means.mean.items()
        },
    }
    return document, {
        "angles.csv": rows_of("angles.csv", angle_columns),
        "kono_z.csv": rows_of("kono_z.csv", z_columns),
    }


def _add_loops(observables: dict[str, Any], frame: Atoms) -> list[Row]:
    """Add the loops of Si and of O to the observables; give the rows of their diagrams."""
    rows = []
    for element in ELEMENTS:
        try:
            diagram, count = persistence_diagram(frame, element)
        except StructureError as reason:
            LOG.warning("%s: no loops: %s", element, reason)
            continue
        for name, value in loop_statistics(diagram, count).items():
            observables[f"homology_{element}_{name}"] = {"mean": value, "error": None}
        rows += [
            row_of("homology.csv", (element, *values)) for values in diagram_rows(diagram, count)
        ]
    return rows


def _density(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Histogram that integrates to the share of values within its edges."""
    counts, _ = np.histogram(values, edges)
    return counts / (max(len(values), 1) * np.diff(edges))


def _pair_rows(means: PairMeans) -> list[Row]:
    columns = [
        means.r,
        *means.partials.values(),
        *means.errors.values(),
        means.neutron,
        means.xray,
        means.t_neutron,
        means.d_neutron,
    ]
    return rows_of("gr.csv", columns)


def structure_factor_rows(factor: StructureFactor) -> list[Row]:
    """Rows of `sq.csv`."""
    mixed = bhatia_thornton(factor.partials, factor.shares)
    columns = [factor.q, factor.counts, *(factor.partials[pair] for pair in PAIRS)]
    for weighting in WEIGHTINGS:
        columns += [factor.total(weighting), factor.standard_error(weighting)]
    return rows_of("sq.csv", [*columns, mixed["NN"], mixed["NC"], mixed["CC"]])


def peaks(factor: StructureFactor, section: Structure) -> dict[str, dict[str, Any]]:
    """Fit Q1, Q2, Q3 of both totals; where there is no peak, say why."""
    results: dict[str, dict[str, Any]] = {}
    for weighting in WEIGHTINGS:
        results[weighting] = {}
        for peak in PEAK_RANGES:
            error = factor.standard_error(weighting)
            sigma = error if np.isfinite(error).any() else None
            try:
                fit = fit_peak(
                    factor.q, factor.total(weighting), sigma, **fit_options(section, peak)
                )
                results[weighting][peak] = fit.as_dict() | {"reason": None}
            except NoPeakError as reason:
                LOG.warning("%s %s: no peak: %s", weighting, peak, reason)
                results[weighting][peak] = {"position": None, "reason": str(reason)}
    return results


def _add_ring_rows(tables: dict[str, list[Row]], means: RingMeans, criterion: str) -> None:
    sizes = means.sizes
    total = sum(means.per_former.values())
    for size in sizes:
        per_former = means.per_former[size]
        row = (
            criterion,
            size,
            means.counts[size],
            per_former,
            means.error[size],
            per_former / total,
        )
        tables["rings.csv"].append(row_of("rings.csv", row))
    for atoms in ATOMS:
        shapes = means.shapes(atoms)
        slope = mean_and_error([slope_of_l2(shape) for shape in shapes])
        tables["ring_slope.csv"].append(row_of("ring_slope.csv", (criterion, atoms, *slope)))
        all_sizes = np.concatenate([shape.size for shape in shapes])
        values = {
            name: np.concatenate([shape.observables()[name] for shape in shapes])
            for name in ("l1", "l2", "l3", "aspect_ratio", "roughness")
        }
        for size in sizes:
            chosen = all_sizes == size
            numbers: list[float | None] = []
            for value in values.values():
                finite = value[chosen & np.isfinite(value)]
                # Frames of a glass have the same rings: only those of one frame are independent.
                independent = max(len(finite) / len(shapes), 1.0)
                if len(finite):
                    spread = float(finite.std())
                    numbers += [float(finite.mean()), spread, spread / np.sqrt(independent)]
                else:
                    numbers += [None, None, None]
            count = chosen.sum() / len(shapes)
            tables["ring_shape.csv"].append(
                row_of("ring_shape.csv", (criterion, atoms, size, count, *numbers))
            )
            if atoms == ATOMS[0]:
                tables["ring_aspect.csv"] += _aspect_rows(
                    criterion, size, values["aspect_ratio"][chosen]
                )


def _aspect_rows(criterion: str, size: int, values: np.ndarray) -> list[Row]:
    """Distribution of l2/l3 of one ring size: with the size, the joint distribution."""
    edges = np.linspace(0.0, 1.0, 51)
    density = _density(values[np.isfinite(values)], edges)
    middle = (edges[1:] + edges[:-1]) / 2
    return [
        row_of("ring_aspect.csv", (criterion, size, x, y))
        for x, y in zip(middle, density, strict=True)
    ]


def _add_centre_rows(tables: dict[str, list[Row]], rings: Rings, section: Structure) -> None:
    """Centres of rings of the last frame: all, and each size."""
    if len(rings) == 0:
        return
    window = (section.ring_centre_q_max_per_A, section.q_bin_per_A)
    _, parts = contributions(rings, *window)
    for size in (None, *rings.counts()):
        chosen = rings if size is None else rings.of_size(size)
        name = "all" if size is None else size
        factor = centre_structure_factor(chosen, *window)
        contribution = factor.centre if size is None else parts[size]
        columns = (
            factor.q,
            factor.counts,
            factor.centre,
            factor.with_si,
            factor.with_o,
            contribution,
        )
        for values in zip(*columns, strict=True):
            tables["ring_centre_sq.csv"].append(row_of("ring_centre_sq.csv", (name, *values)))
        r, g = centre_pair_distribution(chosen, section.r_max_A)
        for values in zip(r, g["centre-centre"], g["centre-Si"], g["centre-O"], strict=True):
            tables["ring_centre_gr.csv"].append(row_of("ring_centre_gr.csv", (name, *values)))
