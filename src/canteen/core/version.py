"""The version of this Canteen; the package takes it from here."""

VERSION = "0.1.0"
