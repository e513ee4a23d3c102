"""What a file says beside its pixels: profiles, EXIF and its kin, whose result it is.

Knows no pixel but to convert it, and not which format carries what.
"""
