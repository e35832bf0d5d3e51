"""Recommenders on public data, beside the published figures."""
