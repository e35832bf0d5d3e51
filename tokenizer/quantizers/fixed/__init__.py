"""Codebooks that do not change after the start."""
