"""`pao service`: look at running services, who needs whom; change them and retire them."""

from bot.cli.command import group
from bot.cli.service.changing import operations, update, upgrade
from bot.cli.service.looking import dependencies, get, history, list_
from bot.cli.service.retiring import decommission

service = group("service", "Look at running services, change and retire them.")
for one in (list_, get, history, dependencies, operations, update, upgrade, decommission):
    service.add_command(one)
