"""Quantizers whose codes are points of a fixed grid, so that no codebook is stored."""
