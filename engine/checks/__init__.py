"""What is looked at before a request's first step: the protocol of checks, and which there are."""
