"""`canteen rewrite`: the same said otherwise."""

from canteen.cli.task import task_command

command = task_command("rewrite")
