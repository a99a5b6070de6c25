"""The runs of ``benchmarks.jobs`` that break nothing."""
