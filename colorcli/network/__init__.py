"""Networks by tables, the folders they are kept in, and the runtimes that run them.

Knows no picture file, no data set and no training.
"""
