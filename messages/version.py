"""The one place that names the product's version; packaging, images and provenance read it."""

VERSION = "0.1.0"
