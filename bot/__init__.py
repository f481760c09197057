"""What people see and start; the only part that knows Slack's objects."""
