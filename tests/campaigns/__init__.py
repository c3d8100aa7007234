"""Long searches for faults, outside of the test suite.

Run `python -m tests.campaigns.kills`, `python -m tests.campaigns.bad_inputs` or
`python -m tests.campaigns.places`.
"""
