"""NequIP potentials: training, packages, verification and gates."""

from glassml.potential.calculators import PotentialError, load_calculator

__all__ = ["PotentialError", "load_calculator"]
