"""The validation service: looks at circuits and fetches sources, so that the controller meets neither.

It keeps nothing: no cache of code, of results or of anything that belongs to a user. User code runs in a
sandboxed child, and so does the library that unpacks Git repositories; this process holds the sockets.
"""
