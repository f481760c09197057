"""`pao request`: submit requests, follow them, and help those that failed."""

from bot.cli.command import group
from bot.cli.request.cloning import clone
from bot.cli.request.deciding import approve, reject
from bot.cli.request.looking import get, list_, logs
from bot.cli.request.steering import abort, cancel, resolve, resume, retry, skip
from bot.cli.request.submitting import submit, template, validate

request = group("request", "Submit requests, follow and steer them.")
for one in (
    submit,
    template,
    validate,
    list_,
    get,
    logs,
    approve,
    reject,
    cancel,
    resume,
    retry,
    skip,
    resolve,
    abort,
    clone,
):
    request.add_command(one)
