"""Studies of a potential: size search, learning curve, generations, glasses of its variants."""
