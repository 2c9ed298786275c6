"""`canteen classify`: which of your labels a text bears."""

from canteen.cli.task import task_command

command = task_command("classify")
