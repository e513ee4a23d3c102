"""What the programs stand on: whole files, downloads, signals, threads, versions, settings.

Knows no picture and no network.
"""
