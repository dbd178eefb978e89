"""What a network of avalanchego's own takes: keys, its genesis, and the transactions that found a chain in it.

All of it is computed from the plan and the public files, so that everybody knows the chain's id before it exists.
"""
