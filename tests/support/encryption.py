"""The one encryption key of all tests.

The role of Terraform's state belongs to the whole server, and its password comes from the key: with
a key a test, tests that run at the same time would lock each other out.
"""

KEY = "cGFvLXRlc3RzLXBhby10ZXN0cy1wYW8tdGVzdHMhISE="
