"""Kinds of files that need more than Pillow: a module for each, or for the library that reads them.

Knows not which of several readers is asked first, nor what becomes of the planes.
"""
