"""The residual stack and the networks around it."""
