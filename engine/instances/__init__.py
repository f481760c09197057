"""Deployed services: reading them, who depends on whom, whether one may go."""
