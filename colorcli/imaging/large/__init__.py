"""Photographs too large to hold: read and written a strip of rows at a time, through libvips.

libvips only decodes and encodes: what samples mean (gray, profiles, Lab) stays with the modules
around, so that a strip gets the very colours that it has in a photograph coloured whole.
"""
