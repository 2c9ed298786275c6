"""The kitchen: which models there are, which are loaded, and who may eat when."""
