"""`python -m bot.cli` is `pao`."""

from bot.cli import main

main()
