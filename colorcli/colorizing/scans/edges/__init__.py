"""Straight edges beside a guessed side: their points, the lines they lie on, and those of a rim.

Knows no photograph and nothing of what its four sides make.
"""
