"""What a step is fed: batches from shards, mixed by weight, aged like old photographs.

Knows no network, and not what is learned from it.
"""
