"""The residual stack, the networks around it, and checks of the vectors that go in."""
