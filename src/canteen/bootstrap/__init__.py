"""The only room that knows every class: it wires the others into the services behind every door."""

from canteen.bootstrap.services import Services, build

__all__ = ["Services", "build"]
