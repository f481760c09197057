"""TerraformFile: a module of the catalog, applied by the real terraform or tofu.

One attempt is: end what an earlier worker left running; write a root module that calls the
catalog's module; `init`; select the workspace; `plan` into a file; judge the plan; make sure that
the step is still ours; `apply` of that very plan; read outputs and resources; remove everything.

    facts                                     owned by
    what exists                               Terraform's state, in PostgreSQL (pg backend)
    who may change it                         Terraform's lock: a session's advisory lock there
    which module made it                      the state too: an output of our root module
    who may run the step                      the engine's lease, checked before apply

**What happens at each death.** The state decides, so an attempt is always begun anew:

- the worker dies during init or plan: nothing has changed, the next attempt plans again;
- the worker dies during apply: terraform lives on (it has a session of its own, and writes to
  files, so no broken pipe kills it) and holds the lock. The next worker on the same machine finds
  it by a mark in its environment, interrupts it once, so that it saves its state and ends, and
  plans what is left. On another machine it waits for the lock, in turns that use up no attempt;
- terraform dies: its lock goes with its session, what it had not saved is made anew;
- the step is taken over while its worker is frozen: the lock keeps the two apart, and a plan made
  before the other applied is stale to Terraform.

The lock is never broken by force: Terraform reconnects silently and would go on without it.

A step that destroys (a decommission, an abort that takes down what was made) goes the same way with
`plan -destroy`, on the state of instance and `state`, by the module at the commit that made it. Begun
anew it finds less in the state, or nothing; where nothing was ever made it needs no plan that works.

Plan files, variables and states hold secrets in clear. The first two live in the attempt's folder
and are removed with it; the state's schema is readable for one role only (engine.store.terraform).
"""

from engine.steps.terraform.step import TerraformFile

__all__ = ["TerraformFile"]
