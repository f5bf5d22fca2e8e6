"""What the demo runs with: one frozen dataclass."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DemoConfig:
    """The demo's settings. Defaults keep the whole job within five minutes on two cores.

    out: output folder. data: data set name or folder. model: model name or `.keras` file.
    size: side in pixels that pictures are resized to; None is what a `.keras` file takes, else theirs.
    skip_bad: leave pictures of a folder out that cannot be read.
    budget_share: trained parameters, as a share of the selectable ones.
    source_epochs, qat_epochs: epochs of pretraining and of quantisation-aware training.
    float_batch, float_learning_rate: SGD of the methods that are compared, in float and on the int8 graph.
    device_samples, device_epochs: labelled target samples that learning takes, and passes over them; the same
        in float and on the device. device_learning_rate: SGD at batch 1, halved after every pass.
    stream_learning_rate: of the streams class after class. stream_passes: of joint training over all data.
    choose: whether an engine shows what it chooses by itself: in so many epochs (choose_epochs), at the rate
        choose_learning_rate, by the rule that the float model beside it has (choose_rule).
    m4_steps: training steps on the emulated Cortex-M4F. verify_inputs: real inputs compared bit for bit.
    """

    out: str = "build/demo"
    data: str = "digits"
    model: str = "tiny_mobilenet"
    size: int | None = None
    skip_bad: bool = False
    seed: int = 0
    budget_share: float = 0.25
    source_epochs: int = 15
    qat_epochs: int = 3
    float_batch: int = 8
    float_learning_rate: float = 0.02
    device_samples: int = 1000
    device_epochs: int = 4
    device_learning_rate: float = 0.01
    stream_learning_rate: float = 0.005
    stream_passes: int = 3
    choose: bool = True
    choose_epochs: int = 16
    choose_rule: str = "velocity"
    choose_learning_rate: float = 0.012
    m4_steps: int = 32
    verify_inputs: int = 256

    def device_rate(self, epoch: int) -> float:
        """Learning rate of a pass, in float and on the device alike."""
        return self.device_learning_rate * 0.5**epoch

    def device_count(self, available: int) -> int:
        """How many target samples learning takes when there are `available`."""
        return min(self.device_samples, available)
