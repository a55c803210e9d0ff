"""Speed, measured as ratios within one run, so that figures of different machines can be compared."""
