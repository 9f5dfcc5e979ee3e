"""One engine step: policies, the step-cost model, output lengths. Plain Python; the clock is passed in."""
