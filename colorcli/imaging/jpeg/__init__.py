"""JPEG to JPEG by components: luma stays what it is, chroma is what is written.

Knows no network and no Lab, and nothing of other formats.
"""
