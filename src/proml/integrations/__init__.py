"""Joins of frameworks that people have: one file each, loaded only when asked for, each an extra of the same name.

``from proml.integrations import mlflow`` (or any other file here) is the one way in. A file here imports its framework
only when it is imported itself or something of it is called, and says which extra to install if it is not there.
"""
