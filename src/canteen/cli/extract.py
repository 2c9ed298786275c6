"""`canteen extract`: entities and fields of a text, each with its place."""

from canteen.cli.task import task_command

command = task_command("extract")
