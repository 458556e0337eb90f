# SPDX-License-Identifier: Apache-2.0
"""What DoRA costs beside LoRA in PEFT: training steps of one llama-shaped model, in turns.

usage: python3 torch_dora.py [--shape smollm2-135m] [--seq 128] [--rank 8] [--threads 2] [--rounds 7]
           [--mode full|checkpoint] [--layers N]

Transformers' LlamaForCausalLM with random f32 weights and a tied head, PEFT's adapters of alpha 2 r on all seven maps,
AdamW, batch 1. A step is forward, backward, AdamW and clearing the gradients. Every round runs a step of both, in an
order that turns; the first only warms up. Prints one JSON object: medians of steps and of their ratios within rounds,
with the least and the largest. DoRA's A and B are random: PEFT has no other cost for them at the start, nor later.
"""
import argparse
import json
import statistics
import time

SHAPES = {  # width, hidden, layers, heads, kv heads, vocabulary
    "smollm2-135m": (576, 1536, 30, 9, 3, 49152),
    "tiny": (64, 172, 5, 8, 4, 512),
}


def build(torch, options, dora):
    import peft
    import transformers

    width, hidden, layers, heads, kv_heads, vocabulary = SHAPES[options.shape]
    torch.manual_seed(1)
    model = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            hidden_size=width, intermediate_size=hidden, num_hidden_layers=options.layers or layers,
            num_attention_heads=heads, num_key_value_heads=kv_heads, vocab_size=vocabulary, rms_norm_eps=1e-5,
            rope_theta=1e5, tie_word_embeddings=True, use_cache=False, attn_implementation="eager"))
    if options.mode == "checkpoint":
        model.gradient_checkpointing_enable()
        model.enable_input_require_grads()
    maps = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = peft.get_peft_model(model, peft.LoraConfig(
        r=options.rank, lora_alpha=2 * options.rank, target_modules=maps, use_dora=dora, init_lora_weights=False))
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    ids = torch.randint(0, vocabulary, (1, options.seq + 1))

    def step():
        start = time.perf_counter()
        logits = model(input_ids=ids[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits[0], ids[0, 1:])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return time.perf_counter() - start

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="smollm2-135m")
    parser.add_argument("--seq", type=int, default=128)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--layers", type=int, default=0, help="of the shape, 0: all")
    parser.add_argument("--mode", choices=["full", "checkpoint"], default="full")
    options = parser.parse_args()
    if min(options.seq, options.rank, options.threads, options.rounds) < 1:
        parser.error("numbers are at least 1")
    import peft
    import torch
    import transformers

    torch.set_num_threads(options.threads)
    steps = {"lora": build(torch, options, False), "dora": build(torch, options, True)}
    times = {name: [] for name in steps}
    for turn in range(options.rounds + 1):
        for name in sorted(steps, reverse=turn % 2 == 0):
            taken = steps[name]()
            if turn > 0:
                times[name].append(taken)
    ratios = [d / l for d, l in zip(times["dora"], times["lora"])]
    print(json.dumps({
        "peer": "peft", "peft": peft.__version__, "torch": torch.__version__, "transformers": transformers.__version__,
        "shape": options.shape, "layers": options.layers or SHAPES[options.shape][2], "seq": options.seq,
        "rank": options.rank, "mode": options.mode, "threads": options.threads, "rounds": options.rounds,
        "lora_s": round(statistics.median(times["lora"]), 4), "dora_s": round(statistics.median(times["dora"]), 4),
        "ratio": round(statistics.median(ratios), 3), "ratio_least": round(min(ratios), 3),
        "ratio_most": round(max(ratios), 3)}))


if __name__ == "__main__":
    main()
