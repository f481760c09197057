"""The domain: catalog, requests, steps, instances; usable without Slack."""
