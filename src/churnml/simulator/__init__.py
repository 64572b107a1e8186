"""An operator with known truth: simulated tables to learn from, and the truth to check against.

Nothing but the commands, tests and benchmarks uses it, and nothing reads the truth but tests and benchmarks.
"""

from churnml.simulator.operator import SimulationSummary, continue_simulation, simulate

__all__ = ["SimulationSummary", "continue_simulation", "simulate"]
