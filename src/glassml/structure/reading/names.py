"""Elements from names of sites (Si12, OB, SI, O2-), types (1, 2) and masses."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from ase.data import atomic_masses, atomic_numbers

from glassml.campaign.errors import StructureError

MASS_TOLERANCE_U = 0.3  # farther from that of every element, a mass is none


@dataclass(frozen=True)
class ElementNames:
    """What the user says about elements.

    Attributes
    ----------
    by_type
        Elements of the types 1, 2 …
    by_name
        Elements of names.
    """

    by_type: tuple[str, ...] = ()
    by_name: dict[str, str] = field(default_factory=dict)


def parse_elements(words: Sequence[str] | None) -> ElementNames:
    """Understand `O Si` (types 1, 2) or `T=Si OB=O` (names).

    Raises
    ------
    StructureError
        If a word is neither, or no element.
    """
    by_type, by_name = [], {}
    for word in words or ():
        name, equals, symbol = word.rpartition("=")
        if symbol not in atomic_numbers or symbol == "X":
            raise StructureError(f"--elements {word}: {symbol} is no chemical symbol")
        if equals:
            by_name[name] = symbol
        else:
            by_type.append(symbol)
    return ElementNames(tuple(by_type), by_name)


def element_of(name: str, names: ElementNames | None = None) -> str:
    """Give the element that a site is called after.

    Digits, charges and what follows them are dropped; SI, NA are Si, Na; of names that are no
    element (OB, OW, Hw) the first letter counts where it is O or H.

    Raises
    ------
    StructureError
        If the name is no element's, or could be two (HO, OS).
    """
    by_name = names.by_name if names else {}
    letters = re.match(r"[^\W\d_]*", name)
    stem = letters[0] if letters else ""
    for known in (name, stem):
        if known in by_name:
            return by_name[known]
    if stem == "D":
        raise StructureError(
            f"site {name}: is deuterium, but isotopes are not told apart; with --elements D=H it "
            f"has the mass and the scattering length of natural hydrogen"
        )
    symbol = stem[:1].upper() + stem[1:].lower()
    found = symbol in atomic_numbers and symbol != "X"
    capitals = len(stem) == 2 and stem.isupper()
    initial = stem[:1].upper()
    if found and capitals and initial in {"O", "H"}:
        raise StructureError(
            f"site {name}: may be {symbol} or {initial}; say which with --elements {stem}={initial}"
        )
    if found:
        return symbol
    if initial in {"O", "H"} and len(stem) <= 3:
        return initial
    example = f"{stem}=O" if stem else "Si O (of types 1, 2 …)"
    raise StructureError(
        f"site {name!r}: is no element's name; say which it is, e.g. --elements {example}"
    )


def element_of_mass(mass: float) -> str | None:
    """Give the element of a mass in u; None where none is within 0.3 u."""
    if not np.isfinite(mass):
        return None
    distance = np.abs(atomic_masses[1:104] - mass)
    nearest = int(np.argmin(distance))
    symbols = {number: symbol for symbol, number in atomic_numbers.items()}
    return symbols[nearest + 1] if distance[nearest] < MASS_TOLERANCE_U else None
