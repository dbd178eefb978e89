"""Joins of frameworks that people train with: one file each, each loaded only when it is asked for."""
