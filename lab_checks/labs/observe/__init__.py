"""Lab 06-observe: signals, percentiles, a sick replica, saturation, an alert, an idle GPU, and a model that is wrong while all is green."""
