"""GitHubWorkflow: a workflow is dispatched, its run found for certain, followed to its end.

    start ─> dispatch ──200 with the run's id────────────────> follow ──> completed, failed
              │   └─────204 (an older server)──> search ──found──^
              └─────────no answer──────────────> search ──not there for 20 s──> dispatch again

GitHub gives no idempotency for a dispatch, so a run is recognised by a correlation id: an input
that the workflow shows in its `run-name`. That id, and that a dispatch is about to leave, are
remembered before it leaves. So at each death:

- before the dispatch: it is simply made;
- between the dispatch and what it answered: as a lost answer, the run is searched by its
  correlation id before a second dispatch; a workflow without such an input is never dispatched
  twice, people decide;
- while the run is followed: it is followed on;
- after its end was seen, before that was written down: it is asked again.

Waiting is told to the engine (`Waiting`), never done here. Times that runs are compared with are
GitHub's, taken from its answers. A limit of the API, or a question without an answer, only
postpones the next question.

`api` speaks to the server, `tokens` says who we are, `dispatches` starts runs and finds them,
`artifacts` reads what a run left, `step` is the state machine.
"""

from engine.steps.github.step import GitHubWorkflow

__all__ = ["GitHubWorkflow"]
