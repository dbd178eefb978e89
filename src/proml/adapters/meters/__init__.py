"""What can be read off a machine while something runs: processor, memory, graphics processors, energy."""
