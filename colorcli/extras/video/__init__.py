"""Moving pictures: films, image sequences and raw frames in, the same in steady colours out.

Knows how colours are carried along motion, and what codecs and containers hold; knows no command
line. PyAV reads and writes films (the extra ``video``), and is loaded where a film is met.
"""
