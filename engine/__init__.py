"""Studio's engine: candles in, a backtest out, and whether to believe it.

A run is one chain (``pipeline.run``), each stage a package that sees only what stands before it:
    data.load                        candles, normalised, sliced, digested
    features.compute_features        the indicators, shifted by one bar
    strategy.compute_signals         a signal for each bar
    risk.target_weights              from it a target weight
    execution.simulate               the bar loop: fills, trades, equity
    metrics.measure                  what it earned
    validation.check_causality       whether it looked ahead; then ``run`` of each test
    artifacts.publish                files
``plan`` builds the components before; ``targets`` calls what lies between candles and weights,
and ``rerun`` does so again for the tests.
"""

__version__ = "0.1.0"
