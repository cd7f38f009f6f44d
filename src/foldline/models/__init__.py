"""Online models: what predicts each example and then learns from its label, with a state that is arrays."""
