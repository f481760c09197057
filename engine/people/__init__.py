"""People: who somebody is, which teams they are in, and THE table of who may do what."""
