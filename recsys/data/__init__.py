"""Interactions as arrays that models train on."""
