"""NequIP potentials: training, packages, verification and gates."""
