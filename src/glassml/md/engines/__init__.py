"""What moves atoms: one glass at a time, batches, and the inputs of LAMMPS."""
