"""The network in other tools' formats, each checked before it is called done.

Knows no training run beyond the model folder it left, and no command line.
"""
