"""Off-policy values: RC-11."""

from foldline.stats.off_policy import OffPolicyValue, doubly_robust, importance_weights, ips, snips
from tests.stats.experiments_reference import near


def test_off_policy() -> None:
    """RC-11: six decisions, of which the policy would have made four; a reward model of 0.6 and 0.4."""
    logged, target = "ababab", "aabbab"
    chosen = [float(a == b) for a, b in zip(logged, target, strict=True)]
    weights = importance_weights(chosen, [0.8, 0.2, 0.8, 0.2, 0.5, 0.5])
    rewards = [1, 0, 0, 1, 1, 0]
    model = {"a": 0.6, "b": 0.4}
    plain, normed = ips(rewards, weights), snips(rewards, weights)
    robust = doubly_robust(rewards, weights, [model[a] for a in logged], [model[a] for a in target])
    assert isinstance(plain, OffPolicyValue)
    assert isinstance(normed, OffPolicyValue)
    assert isinstance(robust, OffPolicyValue)
    assert plain.estimate == 1.375
    assert normed.estimate == near(0.804878048780, 11)
    assert plain.effective_size == near(3.039783001808, 11)
    assert robust.estimate == near(1.083333333333, 11)
