"""Gray picture in, coloured picture out: what ``predict``, ``eval`` and ``export`` all use.

Knows no data set, no truth to compare with and no training.
"""
