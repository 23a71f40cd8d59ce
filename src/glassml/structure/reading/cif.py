"""Crystals from CIF, by gemmi: all sites of the cell, or the reason why they cannot be told."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import gemmi
import numpy as np
from ase import Atoms
from ase.cell import Cell

from glassml.campaign.errors import StructureError
from glassml.structure.reading.names import ElementNames, element_of

SAME_PLACE_A = 0.1  # images of a site that are closer are one atom
FULL = 0.999  # occupancy


def read_cif(path: Path, names: ElementNames) -> list[Atoms]:
    """Read the structures of a CIF, one per block that has sites.

    Raises
    ------
    StructureError
        If a site is partly occupied or of no element, or the symmetry is not known: the group has
        two origins, operations and origin are not given, and the formula does not decide.
    """
    try:
        document = gemmi.cif.read(str(path))
    except (ValueError, RuntimeError, OSError) as error:
        raise StructureError(f"{path}: cannot be read as CIF: {error}") from None
    blocks = [block for block in document if block.find_loop("_atom_site_fract_x")]
    if not blocks:
        raise StructureError(f"{path}: has no sites with fractional coordinates")
    return [_structure(f"{path} (data_{block.name})", block, names) for block in blocks]


def _structure(source: str, block: gemmi.cif.Block, names: ElementNames) -> Atoms:
    crystal = gemmi.make_small_structure_from_block(block)
    _check_occupancies(source, crystal)
    try:
        symbols = [element_of(site.type_symbol or site.label, names) for site in crystal.sites]
    except StructureError as error:
        raise StructureError(f"{source}: {error}") from None
    formula = _formula(block.find_value("_chemical_formula_sum"))
    candidates = [
        _filled(crystal, symbols, operations) for operations in _operations(source, crystal)
    ]
    fitting = [atoms for atoms in candidates if _agrees(atoms, formula)]
    if len(fitting) == 1:
        return fitting[0]
    found = " or ".join(atoms.get_chemical_formula() for atoms in candidates)
    if len(candidates) > 1:
        stated = _written(formula) if formula else "is not given"
        raise StructureError(
            f"{source}: {crystal.spacegroup_hm or crystal.spacegroup_number} has two origins and "
            f"the file does not say which: the cell holds {found}; _chemical_formula_sum {stated}. "
            f"Write :1 or :2 behind the group's name"
        )
    raise StructureError(
        f"{source}: the cell holds {found}, but _chemical_formula_sum is {_written(formula)}: "
        f"check group, setting and sites"
    )


def _check_occupancies(source: str, crystal: gemmi.SmallStructure) -> None:
    partial = [site for site in crystal.sites if not site.occ > FULL]
    if partial:
        listed = ", ".join(f"{site.label} {site.occ:g}" for site in partial[:5])
        more = ", …" if len(partial) > 5 else ""
        raise StructureError(
            f"{source}: sites are partly occupied ({listed}{more}): it is a mean of many "
            f"structures. Make one of them in a supercell (by drawing which sites are filled), "
            f"and give that"
        )


def _operations(source: str, crystal: gemmi.SmallStructure) -> list[list[gemmi.Op]]:
    """Give the operations of the group; of a group whose origin is not said those of both."""
    if crystal.symops:
        return [[gemmi.Op(text) for text in crystal.symops]]
    if crystal.spacegroup_hall:
        return [list(gemmi.symops_from_hall(crystal.spacegroup_hall))]
    name, number = crystal.spacegroup_hm, crystal.spacegroup_number
    if not name and not number:
        raise StructureError(f"{source}: names neither symmetry operations nor a space group")
    stated = name
    name = re.sub(r"\s*:\s*", ":", name)
    name = re.sub(r"\s*S$", ":1", re.sub(r"\s*Z$", ":2", name))
    cell = crystal.cell
    group = gemmi.find_spacegroup_by_name(name, cell.alpha, cell.gamma) if name else None
    if group is None and number and not name:
        group = gemmi.find_spacegroup_by_number(number)
    if group is None:
        raise StructureError(
            f"{source}: the space group {stated} is not known; give its operations "
            f"(_space_group_symop_operation_xyz)"
        )
    groups = [group]
    if ":" not in name and group.ext in {"1", "2"}:
        groups = [
            other
            for other in gemmi.spacegroup_table()
            if (other.number, other.hm) == (group.number, group.hm) and other.ext in {"1", "2"}
        ]
    for each in groups:
        if not _keeps_cell(each.operations(), Cell.new(cell.parameters).array):
            raise StructureError(f"{source}: the cell {cell.parameters} is not one of {each.xhm()}")
    return [list(each.operations()) for each in groups]


def _keeps_cell(operations: gemmi.GroupOps, cell: np.ndarray) -> bool:
    """Whether the operations turn the cell into itself, to 1 %."""
    metric = cell @ cell.T
    turns = np.array([operation.rot for operation in operations]) / gemmi.Op.DEN
    turned = np.swapaxes(turns, 1, 2) @ metric @ turns
    return bool(np.abs(turned - metric).max() < 0.01 * np.abs(metric).max())


def _filled(
    crystal: gemmi.SmallStructure, symbols: Sequence[str], operations: Sequence[gemmi.Op]
) -> Atoms:
    """Apply operations to sites; images of a site at the same place are one atom."""
    cell = Cell.new(crystal.cell.parameters).array
    turns = np.array([operation.rot for operation in operations]) / gemmi.Op.DEN
    shifts = np.array([operation.tran for operation in operations]) / gemmi.Op.DEN
    places, elements = [], []
    for site, symbol in zip(crystal.sites, symbols, strict=True):
        images = (turns @ np.array(site.fract.tolist()) + shifts) % 1.0
        if len(images) > 1:
            apart = images[:, None] - images[None]
            apart -= np.round(apart)
            near = np.linalg.norm(apart @ cell, axis=-1) < SAME_PLACE_A
            images = images[np.argmax(near, axis=1) == np.arange(len(images))]
        places.append(images)
        elements += [symbol] * len(images)
    return Atoms(elements, scaled_positions=np.concatenate(places), cell=cell, pbc=True)


def _formula(text: str | None) -> dict[str, float]:
    """Understand `Si O2`; empty where there is none."""
    if text is None or text in {"?", "."}:
        return {}
    found: dict[str, float] = {}
    for symbol, number in re.findall(r"([A-Z][a-z]?)([\d.]*)", text):
        found[symbol] = found.get(symbol, 0.0) + float(number or 1)
    return found


def _written(formula: dict[str, float]) -> str:
    return " ".join(f"{symbol}{number:g}" for symbol, number in formula.items())


def _agrees(atoms: Atoms, formula: dict[str, float]) -> bool:
    """Whether elements that formula and cell share are in the same ratio, to 2 %."""
    counts = Counter(atoms.get_chemical_symbols())
    ratios = [counts[symbol] / formula[symbol] for symbol in counts if formula.get(symbol)]
    return not ratios or max(ratios) < 1.02 * min(ratios)
