"""Rooms that need an extra of the package: films, a cluster's machines, a service.

Only the command line opens them, and none knows another: what they do with a photograph is what the
rooms below do.
"""
