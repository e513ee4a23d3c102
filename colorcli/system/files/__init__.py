"""Names and places: which photographs a call means, and where their results go.

Knows nothing of what is inside a file.
"""
