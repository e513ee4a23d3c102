"""Film files by PyAV: what containers and encoders hold, frames and all else in and out.

Knows nothing of how colours are found or held steady.
"""
