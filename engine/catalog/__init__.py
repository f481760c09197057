"""The catalog: documents of platform teams, read from Git, checked, kept and found again."""
