"""Train, validation and test sets, split by parent, with a manifest."""
