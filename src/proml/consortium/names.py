"""The engines' names, where nothing else is loaded."""

ENGINES = ("geth-clique", "subnet-evm", "besu-qbft")
WITH_STAKING = ("subnet-evm",)
"""Engines whose participants have keys of avalanchego's."""
