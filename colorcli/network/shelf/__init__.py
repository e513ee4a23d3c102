"""Models from elsewhere, which a user has added under names of their own.

Knows no network: what a model is, and whether it works, others say.
"""
