"""Block Kit out: what the bot says, as plain dictionaries within Slack's limits."""
