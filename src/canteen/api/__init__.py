"""The HTTP door: dialects in, the services behind them, answers out."""
