"""Structure factors, the FSDP, rings and their shape."""
