"""Benchmarks of this machine; each is compared with a peer or a limit in the same run."""
