"""Colour as numbers: CIE Lab and sRGB, and the in-gamut ab bins.

Knows no file, no picture format and no network.
"""
