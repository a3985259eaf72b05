"""Measurements on a real Elasticsearch, everything side by side in one run: `make bench`.

Absolute figures depend on the machine and what else it does; the ratios of pairs are what counts.
Nothing here is asserted.
"""
