"""Issues in Jira, for steps and for tickets alike.

`client` is the one seam to the library, `creation` makes one issue for one key, whatever answer is
lost, `text` writes what Jira takes.
"""

from engine.jira.client import Issue, Jira, NewIssue
from engine.jira.creation import label_of, one_issue

__all__ = ["Issue", "Jira", "NewIssue", "label_of", "one_issue"]
