"""Measures of reconstructions, of samples, and of the use of codes."""
