"""Structures to label: crystals, strained, rattled, liquid, glass, compressed."""
