"""What a run keeps on disk and goes on from: checkpoints, its log, its settings.

Knows not how a step computes.
"""
