"""HTTP in processes of its own: they translate, and the core answers."""

from canteen.api.fronts.supervising import Fronts

__all__ = ["Fronts"]
