"""Quantizers and configurations side by side."""
