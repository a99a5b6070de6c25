"""The same model in other servers, each in an environment of its own.

The files beside this one run there, and import nothing of Geofix.
"""
