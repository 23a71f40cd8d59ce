"""Glasses and compressed states by molecular dynamics."""
