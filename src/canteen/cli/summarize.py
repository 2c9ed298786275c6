"""`canteen summarize`: what a text or document says, in few sentences."""

from canteen.cli.task import task_command

command = task_command("summarize")
