"""What a person says of a photograph's colours: hints as text, files, painted strokes, sidecars.

Knows where in a picture and its squares they lie, and no model.
"""
