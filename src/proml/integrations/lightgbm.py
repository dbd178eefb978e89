"""LightGBM: a callback that records parameters and metrics.

    lightgbm.train(params, data, valid_sets=[test], callbacks=[Callback()])

LightGBM tells callbacks of rounds alone, not when training ends, so it needs an active run, and you publish the model:
`booster.save_model("model.txt")`, `run.publish("my-model", "model.txt", kind="model")`.
"""

from __future__ import annotations

from typing import Any

from proml.capture import active
from proml.integrations.session import careful


class Callback:
    """Records what LightGBM trains in the active run.

    Recorded are the parameters that were given, and each metric of each validation set as ``SET-METRIC``, with the
    round as step.
    """

    before_iteration = False
    order = 5  # before early stopping, which ends the round

    def __call__(self, env: Any) -> None:
        """Records a round; called by LightGBM."""
        self._record(env)

    @careful("record a round of LightGBM")
    def _record(self, env: Any) -> None:
        if env.iteration == env.begin_iteration:
            active.log_params({**env.params, "num_boost_round": env.end_iteration - env.begin_iteration})
        for data, metric, value, *rest in env.evaluation_result_list or ():
            active.log_metric(f"{data}-{metric}", value, step=env.iteration)
            if len(rest) > 1:  # cross-validation gives the deviation, too
                active.log_metric(f"{data}-{metric}-std", rest[1], step=env.iteration)
