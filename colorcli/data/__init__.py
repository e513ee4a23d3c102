"""Photographs by the million: where they come from, and the shards made of them.

Knows no network, no judgement and no training.
"""
