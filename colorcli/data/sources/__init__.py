"""Where photographs come from, to be prepared or judged: a file for each kind of source.

Importing them loads nothing heavy: what opens a source is imported when it is asked. None knows what
becomes of its photographs.
"""
