"""Reindex Queue: rewrites Elasticsearch indices one by one before a major upgrade, safely."""
