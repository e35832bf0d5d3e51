"""Readers of users' and public files, which return checked tables."""
