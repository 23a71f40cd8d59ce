"""Readers of what glass scientists have: by content, with elements from names, masses or the user.

ASE, gemmi and MDAnalysis read; what is added here is which of them, and what they leave unsaid.
"""
