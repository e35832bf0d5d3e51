"""How well the next item is ranked, and whether a difference is real."""
