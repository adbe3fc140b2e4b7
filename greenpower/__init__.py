"""Green Power: collects, keeps, summarises and serves the telemetry of energy meters.

The packages below this one import each other one way only; `setup.cfg` has the contract.
"""

__version__ = "0.2.0"
