"""The page that colours in a browser: its runtime fetched, its parts put into one file.

The rest of this folder is the page itself. Knows neither how a model becomes a LiteRT file nor how
one is checked.
"""
