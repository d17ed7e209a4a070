"""Servers of ours that speak the networks' wire formats, faults included."""
