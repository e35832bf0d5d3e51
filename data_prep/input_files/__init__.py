"""Files as they are given: their encoding, workbooks, and standard input."""
