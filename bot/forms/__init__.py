"""From a presentation to a modal, and from what was typed back to values."""
