"""Mynah beside its peers. Each script prints one JSON line of figures, rivals and own code in one run; `make bench` runs them all."""
