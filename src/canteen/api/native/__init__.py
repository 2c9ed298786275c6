"""Our own routes: health, metrics, version."""

from canteen.api.native.routes import DIALECT

__all__ = ["DIALECT"]
