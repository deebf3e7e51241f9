"""Attention and transformer blocks."""

import numpy as np
import pytest

from chainrule import check_gradients, grad, nn, random
from chainrule.errors import ShapeError
from chainrule.tree import flatten
from tests.nn.oracle import DTYPES, compare, drawn, torch_or_skip, with_leaves

KEY = random.key(4)
VALID = nn.length_mask([5, 3], 5)


def attend_theirs(torch, leaves, x, context, **options):
    wq, bq, wk, bk, wv, bv, wo, bo = leaves
    y, _ = torch.nn.functional.multi_head_attention_forward(
        *(t.transpose(0, 1) for t in (x, context, context)),
        embed_dim_to_check=x.shape[-1],
        num_heads=3,
        in_proj_weight=None,
        in_proj_bias=torch.cat([bq, bk, bv]),
        bias_k=None,
        bias_v=None,
        add_zero_attn=False,
        dropout_p=0.0,
        out_proj_weight=wo,
        out_proj_bias=bo,
        use_separate_proj_weight=True,
        q_proj_weight=wq,
        k_proj_weight=wk,
        v_proj_weight=wv,
        need_weights=False,
        **options,
    )
    return y.transpose(0, 1)


@pytest.mark.oracle
@DTYPES
@pytest.mark.parametrize("case", ["plain", "causal", "keys", "cross", "free mask"])
def test_attention_against_torch(case, dtype):
    torch = torch_or_skip()
    context_features = 4 if case == "cross" else None
    layer = nn.MultiHeadAttention.init(
        KEY, 6, heads=3, context_features=context_features, dtype=dtype
    )
    leaves = flatten(layer)[0]
    arrays = drawn(0, dtype, (2, 5, 6), *([(2, 7, 4)] if case == "cross" else []))
    free = np.random.default_rng(1).random((5, 5)) < 0.6
    np.fill_diagonal(free, True)
    ours = {
        "causal": {"causal": True},
        "keys": {"mask": VALID},
        "free mask": {"mask": free[None, None]},
    }.get(case, {})
    theirs = {
        "causal": {"attn_mask": torch.tensor(~np.tri(5, dtype=bool))},
        "keys": {"key_padding_mask": torch.tensor(~VALID)},
        "free mask": {"attn_mask": torch.tensor(~free)},
    }.get(case, {})
    compare(
        lambda *all: with_leaves(layer, all[:8])(*all[8:], **ours),
        lambda *all: attend_theirs(torch, all[:8], all[8], all[-1], **theirs),
        [*leaves, *arrays],
    )


@pytest.mark.oracle
@DTYPES
@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_transformer_block_against_torch(causal, norm_first, dtype):
    torch = torch_or_skip()
    block = nn.TransformerBlock.init(KEY, 6, 3, hidden=10, norm_first=norm_first, dtype=dtype)
    leaves = flatten(block)[0]
    module = torch.nn.TransformerEncoderLayer(
        6, 3, 10, 0.0, "gelu", batch_first=True, norm_first=norm_first
    )
    names = ["linear1", "linear2", "norm1", "norm2"]
    names = [f"{name}.{part}" for name in names for part in ("weight", "bias")]
    mask = torch.tensor(~np.tri(5, dtype=bool)) if causal else None

    def theirs(*tensors):
        wq, bq, wk, bk, wv, bv, wo, bo, *rest = tensors[:-1]
        parameters = {
            "self_attn.in_proj_weight": torch.cat([wq, wk, wv]),
            "self_attn.in_proj_bias": torch.cat([bq, bk, bv]),
            "self_attn.out_proj.weight": wo,
            "self_attn.out_proj.bias": bo,
            **dict(zip(names, rest, strict=True)),
        }
        return torch.func.functional_call(module, parameters, (tensors[-1], mask))

    compare(
        lambda *all: with_leaves(block, all[:-1])(all[-1], causal=causal),
        theirs,
        [*leaves, *drawn(0, dtype, (2, 5, 6))],
    )


@pytest.mark.parametrize("options", [{}, {"causal": True}, {"mask": VALID[:, :4]}])
def test_gradients(options):
    block = nn.TransformerBlock.init(KEY, 4, 2, hidden=5)
    x = drawn(1, np.float64, (2, 4, 4))[0]
    check_gradients(lambda m, x: np.sum(np.sin(m(x, **options))), block, x, max_elements=4)


def test_causal_attention_does_not_see_the_future():
    layer = nn.MultiHeadAttention.init(KEY, 4, 2)
    x = drawn(2, np.float64, (1, 5, 4))[0]
    slope = grad(lambda x: np.sum(layer(x, causal=True)[0, 2]))(x)
    assert np.all(slope[0, 3:] == 0.0)
    assert np.all(slope[0, :3] != 0.0)


def test_query_that_attends_to_nothing():
    x = drawn(3, np.float64, (2, 3, 4))[0]
    mask = np.zeros((2, 3), bool)
    mask[0] = True

    def run(x):
        return nn.attention(x, x, x, mask=mask[:, None, :])

    assert np.all(run(x)[1] == 0.0)
    slope = grad(lambda x: np.sum(run(x) ** 2))(x)
    assert np.all(slope[1] == 0.0)
    assert np.all(np.isfinite(slope))


def test_attention_with_huge_scores():
    x = 1e200 * np.eye(3)
    np.testing.assert_allclose(nn.attention(np.sqrt(x), np.sqrt(x), np.eye(3)), np.eye(3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_and_dropout(dtype):
    block = nn.TransformerBlock.init(KEY, 4, 2, dropout=0.5, dtype=dtype)
    x = drawn(4, dtype, (2, 3, 4))[0]
    y = block(x, key=random.key(1), train=True)
    assert y.dtype == block(x).dtype == dtype
    assert not np.array_equal(y, block(x, key=random.key(2), train=True))
    np.testing.assert_array_equal(block(x), block(x, key=KEY))


def test_block_in_a_sequential_and_printing():
    keys = random.split(KEY, 2)
    model = nn.Sequential(
        nn.Embedding.init(keys[0], 5, 4), nn.TransformerBlock.init(keys[1], 4, 2, dropout=0.1)
    )
    ids = np.array([[1, 2, 3]])
    assert model(ids, key=KEY, train=True).shape == (1, 3, 4)
    lines = repr(model).splitlines()
    assert lines[2] == "  TransformerBlock(  # 244"
    assert lines[3] == "    attention=MultiHeadAttention(  # 80"
    assert "      heads=2," in lines


def test_refusals():
    layer = nn.MultiHeadAttention.init(KEY, 4, 2)
    with pytest.raises(ShapeError, match=r"MultiHeadAttention\(4, heads=2\) got an input"):
        layer(np.ones((3, 4)))
    with pytest.raises(ShapeError, match="inputs with 5 features"):
        layer(np.ones((2, 3, 5)))
    with pytest.raises(ValueError, match="3 heads do not divide 4"):
        nn.MultiHeadAttention.init(KEY, 4, 3)
