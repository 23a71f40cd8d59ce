"""Labels: energy, forces and stress of each structure, by GPAW."""
