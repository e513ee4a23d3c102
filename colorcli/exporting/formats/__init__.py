"""Export formats, a file each: how it is written, run back, judged, and run elsewhere.

Knows neither photographs nor what becomes of a written file. Importing it loads no runtime.
"""
