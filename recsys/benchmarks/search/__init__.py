"""Benchmarks of search: ESCI, JDsearch, and purchases of Amazon 2014 with derived queries."""
