"""The campaign itself: typed configuration, label store, plan, status, doctor."""
