"""Ticket systems: where work goes that automation could not do, one file each."""
