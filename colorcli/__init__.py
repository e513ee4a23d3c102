"""Colorize grayscale photographs; train, judge and export colorizers."""

import os

__version__ = "0.1.0"

# TensorFlow reads these once, at import; nothing else may import it first.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("ABSL_MIN_LOG_LEVEL", "3")
