"""From shards to a model: one loop around one compiled step, resumable at any batch.

Knows no export format and no command line.
"""
