"""One self-contained page with every figure and table of a campaign."""
