"""From a request to stored cells: plan, jobs, execution, commit."""
