"""Pictures in and out: bytes to planes and back, with profiles, metadata and 16 bits.

Knows no network, and not what becomes of the planes in between.
"""
