"""The networks around the residual stack, and the stack."""
