"""The four kinds of PATCH, and who owns which field afterwards."""
