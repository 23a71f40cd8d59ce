"""Rings of a network: the graph, searches by definition, shapes, centres, and files of them."""
