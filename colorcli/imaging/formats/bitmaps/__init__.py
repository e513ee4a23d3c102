"""Bitmaps of the programmes of the 1980s and 90s: bytes of packed samples, palettes and runs to samples.

Knows no profiles, pages or metadata.
"""
