"""Studio's engine: candles in, a backtest out, and whether to believe it.

A run is one chain (``pipeline.run``), each stage a package that sees only what stands before it:
    data.load                 candles, normalised, sliced, digested
    features.compute_features the indicators, shifted by one bar
    strategy                  a signal for each bar, and from it by ``risk`` a target weight
    execution                 the bar loop: fills, trades, equity
    metrics                   what it earned
    validation                whether it looked ahead, and whether to believe it
    artifacts                 files
"""

__version__ = "0.1.0"
