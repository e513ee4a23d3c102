"""Every default of the project, once: frozen dataclasses that the command line and library share.

A field is an option: its help and limits stand beside it. Knows no file but a TOML, and not what
becomes of a value.
"""
