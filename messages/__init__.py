"""What controller, gateway, executor and validation service say to each other, as frozen msgspec structs.

This package ships in every image, so it imports nothing but msgspec. A field that is added must have a
default: an executor of the last release may still be running when the gateway is rolled.
"""
