"""Search for hyper-parameters: spaces, searchers, trials, confirmation over seeds, report."""
