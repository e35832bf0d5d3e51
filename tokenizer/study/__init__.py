"""Comparisons of quantizers and configurations."""
