"""A model learns which way is up, of features that it computes anyway, in minutes.
What becomes of its opinion is no concern of these.
"""
