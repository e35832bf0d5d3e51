"""Codebooks that are learnt, one estimator or rule a file."""
