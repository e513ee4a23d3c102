"""What the programs stand on: whole files, downloads, signals, threads, versions, and errors in words.

Knows no picture and no network, and no option.
"""
