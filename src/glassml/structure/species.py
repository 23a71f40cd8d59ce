"""Elements of a structure: their order and shares, and their parts in the network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols

from glassml.campaign.errors import StructureError

# Elements that a formula names last.
ANIONS = ("N", "P", "As", "O", "S", "Se", "Te", "F", "Cl", "Br", "I")
# What makes networks, in order of preference; Si does whatever its coordination.
FORMERS = ("Si", "Ge", "Al", "B", "P", "Be", "Zn")
BRIDGES = ("O", "S", "Se", "F")


def elements_of(atoms: Atoms) -> list[str]:
    """Name the elements: cations before anions, heavy before light (Si, O; Si, Na, O; B, O)."""
    symbols = [
        chemical_symbols[number] for number in np.flatnonzero(np.bincount(atoms.numbers))[::-1]
    ]
    alone = len(symbols) == 1
    # P is an anion beside metals and a cation beside O: what bridges decides.
    bridged = any(symbol in BRIDGES for symbol in symbols)
    cations = {"P", "As"} if bridged or alone else set()
    return sorted(symbols, key=lambda symbol: symbol in ANIONS and symbol not in cations)


def pairs_of(elements: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Name the pairs of elements: {"Si-Si": (0, 0), "Si-O": (0, 1), "O-O": (1, 1)}."""
    return {
        f"{first}-{second}": (a, a + b)
        for a, first in enumerate(elements)
        for b, second in enumerate(elements[a:])
    }


def species_index(atoms: Atoms, elements: Sequence[str]) -> np.ndarray:
    """(n,): index of each atom's element among `elements`."""
    table = np.zeros(len(chemical_symbols), np.int64)
    for index, element in enumerate(elements):
        table[atomic_numbers[element]] = index
    return table[atoms.numbers]


def count_elements(atoms: Atoms) -> dict[str, int]:
    """Count the atoms of each element, in the order of `elements_of`."""
    return {
        element: int((atoms.numbers == atomic_numbers[element]).sum())
        for element in elements_of(atoms)
    }


def shares_of(counts: dict[str, int]) -> dict[str, float]:
    """Share of atoms of each element; the last by difference, so that they add up to one."""
    total = sum(counts.values())
    shares = {element: count / total for element, count in counts.items()}
    *others, last = shares
    if others:
        rest = 1.0
        for element in others:
            rest -= shares[element]
        shares[last] = rest
    return shares


@dataclass(frozen=True)
class Network:
    """Which elements make the network: bonds are between formers and bridges alone.

    Attributes
    ----------
    formers
        As Si in silica: the corners of rings.
    bridges
        As O in silica: what joins formers.
    others
        Elements that are left out (modifiers, as Na).
    """

    formers: tuple[str, ...]
    bridges: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """(former, bridge) pairs that bond."""
        return [(former, bridge) for former in self.formers for bridge in self.bridges]

    @property
    def former(self) -> str:
        """The former's symbol, or T for any of several."""
        return self.formers[0] if len(self.formers) == 1 else "T"

    @property
    def bridge(self) -> str:
        """The bridge's symbol, or X for any of several."""
        return self.bridges[0] if len(self.bridges) == 1 else "X"

    def is_former(self, atoms: Atoms) -> np.ndarray:
        """(n,) of bool."""
        return _members(atoms, self.formers)

    def is_bridge(self, atoms: Atoms) -> np.ndarray:
        """(n,) of bool."""
        return _members(atoms, self.bridges)


def _members(atoms: Atoms, elements: Sequence[str]) -> np.ndarray:
    table = np.zeros(len(chemical_symbols), bool)
    table[[atomic_numbers[symbol] for symbol in elements]] = True
    return table[atoms.numbers]


def named_network(
    atoms: Atoms, formers: Sequence[str] | None, bridges: Sequence[str] | None
) -> Network:
    """Give the network of named elements; those not named are all candidates that are present.

    Raises
    ------
    StructureError
        If a named element is not there, is named twice, or no former or no bridge is left.
    """
    present = elements_of(atoms)
    formula = atoms.get_chemical_formula
    for kind, named in (("formers", formers), ("bridges", bridges)):
        for symbol in named or ():
            if symbol not in present:
                raise StructureError(
                    f"--{kind} {symbol}: there is no such element here ({formula()})"
                )
    both = set(formers or ()) & set(bridges or ())
    if both:
        raise StructureError(f"{', '.join(sorted(both))}: is named as former and as bridge")
    chosen_bridges = bridges or [s for s in BRIDGES if s in present and s not in (formers or ())]
    chosen_formers = formers or [s for s in FORMERS if s in present and s not in chosen_bridges]
    for kind, chosen, known in (
        ("former", chosen_formers, FORMERS),
        ("bridge", chosen_bridges, BRIDGES),
    ):
        if not chosen:
            raise StructureError(
                f"has no {kind} of a network ({formula()}; known: "
                f"{', '.join(known)}): name some with --formers and --bridges. Bonds are sought "
                f"between formers and bridges, so that an element alone or a molecular liquid has "
                f"neither network nor rings here; sq, gr and fsdp need none"
            )
    used = {*chosen_formers, *chosen_bridges}
    return Network(
        tuple(s for s in present if s in chosen_formers),
        tuple(s for s in present if s in chosen_bridges),
        tuple(s for s in present if s not in used),
    )
