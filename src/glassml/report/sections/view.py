"""The glass in three dimensions, with its rings."""

import re
import warnings

from ase.io import read

from glassml.report.evidence import Evidence
from glassml.report.page import Embedded
from glassml.report.results import AbsentError
from glassml.structure.bonds import find_bonds
from glassml.structure.rings.search import find_rings
from glassml.structure.rings.viewer import ring_view

MOST_ATOMS = 3000
# The view may run its own script, and may fetch nothing.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:"
)


def ring_frame(evidence: Evidence) -> Embedded:
    """Show the rings of the ambient glass in a frame of its own.

    Raises
    ------
    AbsentError
        If there is no such glass, or it is too large for a browser.
    """
    settings = evidence.results.config.structure
    if not evidence.results.config.report.ring_view:
        raise AbsentError("switched off in the configuration (report.ring_view)")
    state = evidence.ambient()
    path = evidence.results.path(f"md/{state.name}/glass00/final.extxyz")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        atoms = read(path)
    if isinstance(atoms, list) or len(atoms) > MOST_ATOMS:
        raise AbsentError(f"{len(atoms)} atoms; a browser shows {MOST_ATOMS} at most")
    criterion = settings.ring_criteria[0]
    bonds = find_bonds(atoms, settings.cutoff_A)
    rings = find_rings(atoms, criterion, settings.max_ring_size, bonds)
    if not len(rings):
        raise AbsentError(f"the glass has no {criterion} rings")
    # The same results must give the same page, and the view's element has a random name.
    view = re.sub(
        r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "rings", ring_view(atoms, rings, 540)
    )
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Rings</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<style>body{{margin:0}} .modebar{{display:none}}</style></head><body>{view}</body></html>"
    )
    caption = (
        f"{state.name}/glass00 at its end: {len(atoms)} atoms, and its {len(rings)} {criterion} "
        "rings as surfaces, coloured by size. Drag to turn; a click on a size in the legend hides "
        "it, a double click shows it alone."
    )
    return Embedded("rings", "Rings in three dimensions", caption, html)
