"""An index of the code in a workspace folder, for predicting tokens from what stands there."""
