"""An index of the code in a workspace folder. It predicts tokens that follow the same context in other files."""
