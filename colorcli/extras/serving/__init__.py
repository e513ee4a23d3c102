"""Colouring as a service of this machine: pictures in and out over HTTP.

Knows no file but the page it shows, and nobody but who may ask.
"""
