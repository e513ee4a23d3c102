"""Which way is up: a small head on features that a model's network computes anyway.
It knows neither pictures nor what becomes of its opinion.
"""
