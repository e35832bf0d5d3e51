"""Comparisons and ablations of quantizers on images: cells, tuning, tables, pictures."""
