"""Work on the machines of a cluster, by an engine that exists: names go out, rows of results come back.

Knows no picture and no network: what is done with a name is what one machine does with it.
"""
