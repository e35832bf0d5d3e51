"""Codes that are points of a fixed grid: no codebook is stored."""
