"""Data of any size in the formats of public data sets, with a structure that a search can find."""
