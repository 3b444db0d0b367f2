"""Reproducible benchmarks against peers and against the machine's limits. Run with `python -m bench`."""
