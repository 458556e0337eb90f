# SPDX-License-Identifier: Apache-2.0
"""A small adapter written by PEFT itself, so that graft's reader meets files that graft did not write.

usage: make_peft_adapter.py BASE.gguf OUT_DIR [options]     on a real base model
       make_peft_adapter.py --tiny OUT_DIR [options]        on a two-block llama of width 32 (its weights are not saved)
B is random (PEFT's own start is zero, which would test nothing); --train N then takes N AdamW steps on a fixed text.
The same options and seed give the same files on the same versions.
"""

import argparse
import sys

import common

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def tiny_base():
    """The shape of tiny_step.py's llama, through transformers."""
    import transformers

    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=37,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=64,
            attn_implementation="eager",
            tie_word_embeddings=True,
        )
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base", nargs="?", help="GGUF of the base model")
    parser.add_argument("out", help="directory to write")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--alpha", type=float, default=8)
    parser.add_argument("--targets", nargs="+", default=ALL)
    parser.add_argument("--rslora", action="store_true")
    parser.add_argument("--dora", action="store_true")
    parser.add_argument("--rank-pattern", type=str, default="", help="KEY=RANK;...: other ranks for some maps")
    parser.add_argument("--alpha-pattern", type=str, default="", help="KEY=ALPHA;...")
    parser.add_argument("--strength", type=float, default=0.02, help="standard deviation of B")
    parser.add_argument("--train", type=int, default=0, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--base-name", default="HuggingFaceTB/SmolLM2-135M-Instruct")
    options = parser.parse_args()
    if options.tiny == bool(options.base):
        parser.error("give either BASE.gguf or --tiny")
    import peft, torch

    torch.manual_seed(options.seed)
    base = tiny_base() if options.tiny else common.load_base(options.base, threads=2)
    pattern = lambda text, kind: {k: kind(v) for k, v in (pair.split("=") for pair in text.split(";") if pair)}
    alpha = int(options.alpha) if options.alpha == int(options.alpha) else options.alpha
    model = peft.get_peft_model(
        base,
        peft.LoraConfig(
            r=options.rank,
            lora_alpha=alpha,
            target_modules=options.targets,
            task_type="CAUSAL_LM",
            use_rslora=options.rslora,
            use_dora=options.dora,
            rank_pattern=pattern(options.rank_pattern, int),
            alpha_pattern=pattern(options.alpha_pattern, float),
        ),
    )
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_B" in name:
                value.normal_(0, options.strength)
            elif "lora_magnitude_vector" in name:
                value.mul_(1 + 0.1 * torch.rand_like(value))
    if options.train:
        limit = base.config.vocab_size
        ids = list(range(3, 35)) if options.tiny else common.tokenizer(options.base).encode(common.PARAGRAPH).ids[:64]
        batch = torch.tensor([[i % limit for i in ids]])
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
        model.train()
        for step in range(options.train):
            loss = model(input_ids=batch, labels=batch).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            print(f"step {step + 1}: loss {loss.item():.6f}", file=sys.stderr)
    # A converter follows this name: an id, never a path of this machine.
    model.peft_config["default"].base_model_name_or_path = "graft/tiny-llama" if options.tiny else options.base_name
    model.save_pretrained(options.out)
    count = sum(p.numel() for n, p in model.named_parameters() if "lora_" in n)
    print(f"{options.out}: {count} adapter parameters, peft {peft.__version__}", file=sys.stderr)


if __name__ == "__main__":
    main()
