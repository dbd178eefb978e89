"""The pure core: data and rules, no input or output."""
