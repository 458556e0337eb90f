# SPDX-License-Identifier: Apache-2.0
"""Proves tiny_step.py: its gradients against complex steps, its model and gradients against transformers.

usage: check_tiny_step.py
numpy is enough for the complex steps; the second half needs torch and transformers (setup.sh). Complex steps
(Im f(p + ih)/h with h = 1e-30) have no cancellation, so every one of the 5568 adapter gradients is checked to 1e-11.
Exit 1 when anything departs.
"""

import sys

import numpy as np

import tiny_step as t


def turn(v, rows, heads):
    """Rows of an interleaved model in half-split order, which transformers uses."""
    if not v["interleaved"]:
        return rows
    by_head = rows.reshape(heads, t.HEAD, -1)
    return np.concatenate([by_head[:, 0::2], by_head[:, 1::2]], 1).reshape(rows.shape)


def back(v, rows, heads):
    """The inverse of turn."""
    if not v["interleaved"]:
        return rows
    by_head = rows.reshape(heads, t.HEAD, -1)
    return np.stack([by_head[:, : t.HEAD // 2], by_head[:, t.HEAD // 2 :]], 2).reshape(rows.shape)


def check_complex_steps(v):
    """Largest departure of any adapter gradient from Im f(p + ih)/h, h = 1e-30, relative to the tensor's largest."""
    model, lora = t.make_model(v)
    gradients, worst = t.step(v, model, lora)[4], 0.0
    for layer in range(t.BLOCKS):
        for name in t.MAPS:
            for side in (0, 1):
                original, numeric = lora[layer][name][side], np.empty(lora[layer][name][side].shape)
                for j in np.ndindex(original.shape):
                    lora[layer][name][side] = original.astype(complex)
                    lora[layer][name][side][j] += 1e-30j
                    numeric[j] = t.forward(v, model, lora)[0].imag / 1e-30
                lora[layer][name][side] = original
                g = gradients[layer][name][side]
                worst = max(worst, abs(numeric - g).max() / abs(g).max())
    return worst


def check_transformers(v):
    """The same model through transformers with merged weights, each sequence alone: the largest relative departure of
    loss, logits and adapter gradients, which follow from those of the merged weights: dA = s B^T dW, dB = s dW A^T.
    Its norms compute in f32, hence about 1e-6."""
    import torch
    import transformers

    model, lora = t.make_model(v)
    loss, logits, _, _, gradients = t.step(v, model, lora)
    common = dict(
        vocab_size=t.VOCABULARY,
        hidden_size=t.WIDTH,
        intermediate_size=t.HIDDEN,
        num_hidden_layers=t.BLOCKS,
        num_attention_heads=t.HEADS,
        num_key_value_heads=t.KV,
        rms_norm_eps=t.EPSILON,
        rope_theta=t.BASE,
        attn_implementation="eager",
        tie_word_embeddings=False,
    )
    hf = (
        (
            transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**common))
            if v["bias"]
            else transformers.LlamaForCausalLM(transformers.LlamaConfig(**common))
        )
        .double()
        .eval()
    )
    put = lambda place, value: place.data.copy_(torch.tensor(value))
    heads = {"q": t.HEADS, "k": t.KV}
    places = []
    put(hf.model.embed_tokens.weight, model["E"])
    put(hf.lm_head.weight, model["head"])
    put(hf.model.norm.weight, model["norm"])
    for layer, b, pairs in zip(hf.model.layers, model["blocks"], lora):
        put(layer.input_layernorm.weight, b["norm1"])
        put(layer.post_attention_layernorm.weight, b["norm2"])
        places.append({})
        for m in t.MAPS:
            linear_map = getattr(layer.self_attn if m in "qkvo" else layer.mlp, m + "_proj")
            w = b[m] + t.SCALE * pairs[m][1] @ pairs[m][0]
            put(linear_map.weight, turn(v, w, heads[m]) if m in heads else w)
            if m + "_bias" in b:
                put(linear_map.bias, turn(v, b[m + "_bias"], heads[m]) if m in heads else b[m + "_bias"])
            places[-1][m] = linear_map.weight
    for owner in [hf.model] + [layer.self_attn for layer in hf.model.layers]:  # moved between versions
        rotary = getattr(owner, "rotary_emb", None)
        if rotary is not None:
            inverse = torch.tensor(t.BASE ** (-2.0 * np.arange(t.HEAD // 2) / t.HEAD) / np.array(v["factors"]))
            rotary.register_buffer("inv_freq", inverse, persistent=False)
            if hasattr(rotary, "_set_cos_sin_cache"):
                rotary._set_cos_sin_cache(64, "cpu", torch.float64)
    total, start, worst = 0, 0, 0.0
    for n in t.LENGTHS:
        z = hf(input_ids=torch.tensor([t.IDS[start : start + n]])).logits[0].double()
        worst = max(worst, abs(z.detach().numpy() - logits[start : start + n]).max() / abs(logits).max())
        for row, target in enumerate(t.TARGETS[start : start + n]):
            if target >= 0:
                total = total - torch.log_softmax(z[row], -1)[target]
        start += n
    total = total / sum(target >= 0 for target in t.TARGETS)
    total.backward()
    worst = max(worst, abs(total.item() - loss) / loss)
    for grads, pairs, own in zip(gradients, lora, places):
        for m, place in own.items():
            dW = place.grad.numpy()
            dW = back(v, dW, heads[m]) if m in heads else dW
            for mine, theirs in (
                (grads[m][0], t.SCALE * pairs[m][1].T @ dW),
                (grads[m][1], t.SCALE * dW @ pairs[m][0].T),
            ):
                worst = max(worst, abs(mine - theirs).max() / abs(mine).max())
    return worst


def main():
    failed = False
    try:
        import torch, transformers

        other = f"torch {torch.__version__}, transformers {transformers.__version__}"
    except ImportError:
        other = None
        print("torch or transformers missing: that half of the check is skipped")
    for name, v in t.VARIANTS.items():
        away = check_complex_steps(v)
        failed = failed or not away < 1e-11
        print(f"{name}: gradients depart from complex steps by {away:.2g}")
        if other:
            away = check_transformers(v)
            failed = failed or not away < 1e-5
            print(f"{name}: loss, logits and gradients depart from {other} by {away:.2g}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
