"""Step types: one kind of work each, driven by the engine through `base.StepType`."""
