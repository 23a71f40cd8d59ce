"""Rings per Si of crystals, up to 12 Si, by each criterion; sources are in `docs/structure.md`."""

from typing import Any

from glassml.structure.rings.search import CRITERIA, find_rings

KNOWN_RINGS: dict[str, dict[str, dict[int, float]]] = {
    "alpha_quartz": {
        "primitive": {6: 1, 8: 5},
        "king": {6: 1, 8: 7},
        "king-shell": {6: 1, 8: 7},
        "guttman": {6: 1},
    },
    "beta_quartz": {
        "primitive": {6: 1, 8: 5},
        "king": {6: 1, 8: 7},
        "king-shell": {6: 1, 8: 7},
        "guttman": {6: 1},
    },
    "alpha_cristobalite": {criterion: {6: 2} for criterion in CRITERIA},
    "beta_cristobalite": {criterion: {6: 2} for criterion in CRITERIA},
    "tridymite": {criterion: {6: 2} for criterion in CRITERIA},
    "coesite": {
        "primitive": {4: 1 / 2, 6: 1 / 4, 8: 1 / 4, 9: 1, 10: 1 / 4, 11: 1, 12: 3 / 4},
        "king": {4: 1 / 2, 6: 3 / 4, 8: 7 / 4, 9: 1},
        "king-shell": {4: 1 / 2, 6: 3 / 4, 8: 7 / 4, 9: 1},
        "guttman": {4: 1 / 2, 6: 1 / 4, 8: 1 / 4},
    },
    "stishovite": {
        "primitive": {2: 1, 3: 4, 4: 6},
        "king": {2: 1, 3: 4, 4: 9},
        "king-shell": {2: 1, 3: 4, 4: 1, 5: 16},
        "guttman": {2: 1, 3: 4},
    },
    "seifertite": {
        "primitive": {2: 1, 3: 4, 4: 5},
        "king": {2: 1, 3: 4, 4: 11},
        "king-shell": {2: 1, 3: 4, 4: 5, 5: 12},
        "guttman": {2: 1, 3: 4},
    },
    "moganite": {
        "primitive": {4: 1 / 3, 6: 2 / 3, 8: 2},
        "king": {4: 1 / 3, 6: 2 / 3, 8: 16 / 3},
        "king-shell": {4: 1 / 3, 6: 2 / 3, 8: 16 / 3},
        "guttman": {4: 1 / 3, 6: 2 / 3},
    },
    "keatite": {
        "primitive": {5: 2 / 3, 7: 2 / 3, 8: 2 / 3},
        "king": {5: 2 / 3, 6: 1 / 3, 7: 2 / 3, 8: 8 / 3},
        "king-shell": {5: 2 / 3, 6: 1 / 3, 7: 2 / 3, 8: 8 / 3},
        "guttman": {5: 2 / 3},
    },
    "sodalite": {
        "primitive": {4: 1 / 2, 6: 2 / 3, 12: 8 / 3},
        "king": {4: 1 / 2, 6: 2 / 3},
        "king-shell": {4: 1 / 2, 6: 2 / 3},
        "guttman": {4: 1 / 2},
    },
}


def compare_crystals() -> list[dict[str, Any]]:
    """Search the rings of each crystal from its primitive cell and compare them with what is known.

    Returns
    -------
    list of dict
        `crystal`, `criterion`, `known`, `computed` (rings per Si by size), `equal`.
    """
    from glassml.configurations.crystals import polymorph  # noqa: PLC0415 - spglib, for this only

    rows: list[dict[str, Any]] = []
    for crystal, criteria in KNOWN_RINGS.items():
        for criterion, known in criteria.items():
            computed = find_rings(polymorph(crystal), criterion).per_former()
            equal = computed.keys() == known.keys() and all(
                abs(computed[size] - known[size]) < 1e-9 for size in known
            )
            row = {"crystal": crystal, "criterion": criterion, "known": known}
            rows.append(row | {"computed": computed, "equal": equal})
    return rows
