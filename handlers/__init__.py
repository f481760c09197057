"""Bolt listeners, one file per way in, each with `register(app, services)`."""
