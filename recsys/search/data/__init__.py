"""Requests of a search: who asked what after which items, and what was right."""
