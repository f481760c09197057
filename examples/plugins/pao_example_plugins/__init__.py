"""Plug-ins for PAO to copy from: one of each kind."""
