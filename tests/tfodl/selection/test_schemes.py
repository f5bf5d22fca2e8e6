"""The published schemes against what the papers print."""

import pytest

from tfodl import TfodlError, models, neuron_groups, plan_cost, schemes
from tfodl.models.mcunet import TABLES, mcunet


@pytest.fixture(scope="module")
def mobilenet_v2():
    return neuron_groups(models.build("mobilenet_v2", input_shape=(128, 128, 3), classes=10))


@pytest.fixture(scope="module")
def folded():
    """The three nets as their schemes count them: 128 pixels, batch norm folded into biases."""

    shape = (128, 128, 3)
    return {name: neuron_groups(mcunet(name, shape, 10, batchnorm=False)) for name in TABLES}


@pytest.mark.parametrize(
    ("name", "weights"),
    [("mbv2-w0.35-49kb", 192_312), ("mbv2-w0.35-99kb", 464_640), ("mbv2-w0.35-138kb", 675_840)],
)
def test_parameters_on_mobilenet_v2_are_the_printed_ones(mobilenet_v2, name, weights):
    cost = plan_cost(schemes.plan(name, mobilenet_v2), mobilenet_v2)
    assert (cost.params, cost.total_params) == (weights, 2_189_760)


@pytest.mark.parametrize("name", sorted(schemes.SCHEMES))
def test_memory_is_the_printed_one(folded, name):
    scheme = schemes.SCHEMES[name]
    groups = folded[scheme.net]
    scheme_bytes = plan_cost(schemes.plan(name, groups), groups).scheme_bytes
    if name == "mbv2-w0.35-49kb":
        # The printed 49 KB leave out depthwise convolution 49: 42 channels of 4x4 inputs and 3x3 weights.
        scheme_bytes -= 42 * (4 * 4 + 3 * 3)
    assert scheme_bytes // 1024 == scheme.kilobytes


def test_mcunet_at_49_kb_byte_for_byte(folded):
    groups = folded["mcunet-5fps"]
    cost = plan_cost(schemes.plan("mcunet-5fps-49kb", groups), groups)
    assert cost.scheme_bytes == 50_784
    assert (round(cost.macs.dx / 1e4), round(cost.macs.dw / 1e4)) == (
        915,
        78,
    )  # the released engine's, 1e4 MAC


def test_plan_takes_first_input_channels_and_last_biases(folded):
    groups = folded["mcunet-5fps"]
    plan = schemes.plan("mcunet-5fps-49kb", groups)
    convs = [group for group in groups if group.kind != "dense"]
    assert [entry.name for entry in plan.layers] == [group.layer for group in convs[-20:]]
    assert {entry.bias for entry in plan.layers} == {"all"} and plan.head
    assert {entry.name: entry.channels for entry in plan.layers if entry.channels} == {
        "b08_expand": tuple(range(12)),
        "b09_expand": tuple(range(24)),
        "b10_expand": tuple(range(24)),
    }
    assert plan.layer("b08_expand").axis == "in"


def test_unknown_scheme_and_small_model_are_refused(mobilenet_v2):
    with pytest.raises(TfodlError, match="'mbv2-50kb' is unknown; allowed: mbv2-w0.35-49kb"):
        schemes.plan("mbv2-50kb", mobilenet_v2)
    tiny = models.build("tiny_mobilenet", input_shape=(28, 28, 1), classes=2)
    with pytest.raises(TfodlError, match="needs 50 convolutions, the model has 11"):
        schemes.plan("mbv2-w0.35-49kb", tiny)
