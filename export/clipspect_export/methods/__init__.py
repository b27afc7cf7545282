"""The methods, a folder each: the options that it takes, the model that is exported, and its reference in torch."""
