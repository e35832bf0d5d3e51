"""Rules that read the values of a user's table, the same for files, requests and imports."""
