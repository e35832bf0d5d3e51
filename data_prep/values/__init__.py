"""Values of a user's table, read by one rule in every way in."""
