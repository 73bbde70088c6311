"""Figures of real devices on a certain day, one JSON file a device; `make.py` writes them."""
