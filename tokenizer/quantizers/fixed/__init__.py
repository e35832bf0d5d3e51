"""Codebooks that stay as they were started."""
