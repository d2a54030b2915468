"""Guidance: change what a denoiser guesses (wrappers), or where its trajectory begins and ends (editing)."""

from .editing import interpolate, invert, repaint, sdedit
from .wrappers import classifier, classifier_free, clipped, dynamic_threshold, inpaint
