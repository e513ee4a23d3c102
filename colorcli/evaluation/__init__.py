"""Judges colours against the true ones, always beside doing nothing.

Knows neither how colours were made nor how a network learns.
"""
