"""From an encoded photograph to its encoded colours: whole, by strips, or with its luma kept.
Where either lies is no concern of these.
"""
