"""Commands that prepare tables and vectors."""
