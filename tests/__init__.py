"""Tests, mirroring the packages; `tests/e2e` starts real processes."""
