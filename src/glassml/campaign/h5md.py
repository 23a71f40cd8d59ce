"""Edges of an H5MD box: MDAnalysis keeps their lengths and angles, the file has the vectors."""

from typing import TYPE_CHECKING

import h5py
import numpy as np

if TYPE_CHECKING:
    from MDAnalysis.coordinates.base import ReaderBase


def box_edges(trajectory: "ReaderBase") -> np.ndarray:
    """Give the cell's vectors (3, 3) of the current frame in Å, turned as the file has them.

    Parameters
    ----------
    trajectory
        MDAnalysis's reader of an H5MD file.
    """
    frame = trajectory.ts
    with h5py.File(trajectory.filename, "r") as file:
        group = next(iter(file["particles"].values()))
        edges = group["box/edges"]
        values = edges[()] if isinstance(edges, h5py.Dataset) else edges["value"][frame.frame]
    vectors = np.diag(values) if np.ndim(values) == 1 else np.asarray(values, float)
    # MDAnalysis has converted the lengths already: that tells the file's unit.
    return vectors * (frame.dimensions[0] / np.linalg.norm(vectors[0]))
