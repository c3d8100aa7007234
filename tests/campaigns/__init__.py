"""Long hunts for faults that run beside the test suite: `python -m tests.campaigns.kills`,
`bad_inputs`, `places`."""
