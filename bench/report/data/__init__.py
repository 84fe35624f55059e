"""Tables and pages that describe a data set."""
