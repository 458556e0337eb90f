# SPDX-License-Identifier: Apache-2.0
"""GGUF files written by the gguf package, to test graft's readers and writers against.

usage: make_gguf.py f32 IN.gguf OUT.gguf                    the same model with every tensor decoded to F32
       make_gguf.py adapter BASE.gguf PEFT_DIR OUT.gguf     a PEFT directory as a LoRA adapter GGUF
Adapter: rows of lora_B of q and k turn to interleaved order for arch llama (new[2i] = old[i], new[2i+1] = old[i +
head/2], per head); the one global alpha is PEFT's; whatever it cannot say (rsLoRA, rank and alpha patterns) is folded
into B.
"""

import math
import os
import re
import sys

import common

MAPS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def f32_copy(source, target):
    import gguf

    reader, value = common.gguf_fields(source)
    writer = gguf.GGUFWriter(target, value("general.architecture"))
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in (
            "general.architecture",
            "general.file_type",
            "general.quantization_version",
        ):
            continue
        kind = field.types[0]
        if kind == gguf.GGUFValueType.ARRAY:
            writer.add_array(field.name, value(field.name))
        else:
            writer.add_key_value(field.name, value(field.name), kind)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype("float32"))
    finish(writer)


def interleaved(rows, heads):
    """From half-split to interleaved row order, head by head."""
    out, columns = rows.shape
    return rows.reshape(heads, 2, out // heads // 2, columns).swapaxes(1, 2).reshape(out, columns)


def adapter(base, folder, target):
    import gguf, numpy, safetensors.numpy

    _, value = common.gguf_fields(base)
    arch = value("general.architecture")
    heads = value(f"{arch}.attention.head_count")
    heads_of = {"attn_q": heads, "attn_k": value(f"{arch}.attention.head_count_kv") or heads}
    config = common.read_json(os.path.join(folder, "adapter_config.json"))
    if config.get("use_dora"):
        sys.exit("a LoRA adapter GGUF cannot hold DoRA's magnitudes")
    tensors = safetensors.numpy.load_file(os.path.join(folder, "adapter_model.safetensors"))
    writer = gguf.GGUFWriter(target, arch)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    alpha = config["lora_alpha"]
    writer.add_float32("adapter.lora.alpha", float(alpha))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for name, a in sorted(tensors.items()):
        found = re.fullmatch(r"base_model\.model\.model\.layers\.(\d+)\.(\S+)\.lora_A\.weight", name)
        if not found:
            if "lora_B" in name:
                continue
            sys.exit(f"{name}: not a LoRA matrix of a block")
        layer, module = found.groups()
        b = tensors[name.replace("lora_A", "lora_B")].astype("float32")
        path, rank = f"model.layers.{layer}.{module}", a.shape[0]
        own = next((v for k, v in config.get("alpha_pattern", {}).items() if re.match(rf"(.*\.)?({k})$", path)), alpha)
        scale = own / (math.sqrt(rank) if config.get("use_rslora") else rank)
        b = (b * numpy.float32(scale / (alpha / rank))) if scale != alpha / rank else b
        if arch == "llama" and MAPS[module] in heads_of:
            b = interleaved(b, heads_of[MAPS[module]])
        stem = f"blk.{layer}.{MAPS[module]}.weight"
        writer.add_tensor(stem + ".lora_a", numpy.ascontiguousarray(a.astype("float32")))
        writer.add_tensor(stem + ".lora_b", numpy.ascontiguousarray(b))
    finish(writer)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "f32":
        f32_copy(*sys.argv[2:])
    elif len(sys.argv) == 5 and sys.argv[1] == "adapter":
        adapter(*sys.argv[2:])
    else:
        sys.exit(__doc__)
