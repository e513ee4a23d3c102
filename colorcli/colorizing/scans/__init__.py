"""Where photographs lie in a scan, the squares of them that a network is shown, and what is told of both.

Knows no model and no colour but the ab it is handed.
"""
