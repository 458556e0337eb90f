# SPDX-License-Identifier: Apache-2.0
# Writes golden/smollm2.jsonl (texts and SmolLM2's ids) and golden/splits.jsonl (texts, their words under the four
# pre-tokenizers as counts of bytes, their normal form C where it differs, and GPT-2's ids), by Hugging Face's library.
# usage: pip install tokenizers gguf; python3 tests/text/make_golden.py SmolLM2-135M-Instruct.Q4_1.gguf DATA_FOLDER
import json
import pathlib
import random
import sys

from gguf import GGUFReader
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers as pre

HERE = pathlib.Path(__file__).parent / "golden"
PIECES = {
    "words": "the quick Brown fox's jumps they're I'll we've I'd don't it's 'twas rock'n'roll 'S 'LL 'Re 'ſ".split(),
    "code": ["for (int i = 0; i < n; ++i) {\n\ta[i] += b;\n}", "def f(x):\n    return x**2\n",
             "#include <vector>\r\n",
             "if (a && !b) || c->d::e {", "\t\t  x = 'y';", "/* … */ // --", "http://a.b/c?d=1&e=%20",
             "\\n\\t\\\\",
             '{"k": [1, 2.5e-3, null]}', "SELECT * FROM t;"],
    "scripts": ["Привет, мир", "שלום עולם", "مرحبا بالعالم", "नमस्ते दुनिया", "こんにちは世界", "你好，世界！", "안녕하세요 세계",
                "สวัสดีชาวโลก", "Γειά σου", "Đặng Thị Việt", "naïve café", "e\u0301a\u0308o\u0302\u0323",
                "\u1112\u1161\u11ab",
                "ﬁ ﬂ ſ ẞ ß", "ᏣᎳᎩ", "አማርኛ", "\u05d0\u05b8\u05bc", "\u212b\u2126\uf900"],
    "digits": ["0", "12", "345", "6789", "10000", "3.14159", "1,000,000", "٣٤٥", "१२३", "½ ² ₃", "Ⅻ", "①②",
               "𝟙𝟚", "一二三",
               "\U00011de0", "\U00016ff4", "0x1F", "2024-07-26"],
    "emoji": ["😀", "👩‍👩‍👧", "🇫🇷", "❤️", "👍🏽", "☃", "✓✗", "…—–", "“q”", "™©®"],
    "space": [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n ", "\u00a0", "\u3000", "\u2003", "\u200b",
              "\u2028", "\x85",
              " \n\n  ", "\v\f", "      "],
    "control": ["\x00", "\x01", "\x04", "\x13", "\x1b[31m", "\x7f", "\x1f", "\ufeff", "\ufffd", "\u202e",
                "\x80", "\x9f"],
    "special": ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_", "<repo_name>", "<|", "|>", "<file_sep"],
}
SIGNS = "abcdefgHIJ'-_.,;:!?()[]{}<>@#$%^&*+=|~`\"/\\"


def texts(count, seed):
    draw, out = random.Random(seed), ["", " ", "  ", "\n", "a", "'", "'s", " 's", "\u0301"]
    while len(out) < count:
        parts = []
        for _ in range(draw.randint(1, 6)):
            kind = draw.random()
            if kind < 0.1:
                spans = [(0, 0x7F), (0x80, 0x24F), (0x250, 0xD7FF), (0xE000, 0xFFFF)]
                spans += [(0x10000, 0x1FFFF), (0x300, 0x36F)]
                parts.append("".join(chr(draw.randint(*draw.choice(spans))) for _ in range(draw.randint(1, 3))))
            elif kind < 0.25:
                parts.append(draw.choice(PIECES["space"]))
            elif kind < 0.35:
                parts.append(draw.choice(SIGNS) * draw.randint(1, 9))
            else:
                parts.append(draw.choice(PIECES[draw.choice(list(PIECES))]) + draw.choice(["", " "]))
        out.append("".join(parts))
    return out


PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
           r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def split(numbers):
    cut = pre.Split(Regex(PATTERN % numbers), "isolated")
    return pre.Sequence([cut, pre.ByteLevel(add_prefix_space=False, use_regex=False)])


GPT2 = pre.ByteLevel(add_prefix_space=False)
CUTS = {"gpt-2": GPT2, "smollm": pre.Sequence([pre.Digits(individual_digits=True), GPT2]),
        "qwen2": split(r"\p{N}"), "llama-bpe": split(r"\p{N}{1,3}")}


def build(tokens, merges, special, cut):
    pairs = [tuple(m.split(" ")) for m in merges]
    t = Tokenizer(models.BPE(vocab={s: i for i, s in enumerate(tokens)}, merges=pairs))
    t.pre_tokenizer = cut
    t.add_special_tokens([AddedToken(s, normalized=False, special=True) for s in special])
    return t


def write(name, rows):
    path = HERE / name
    path.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))
    print(path, len(rows), "rows", path.stat().st_size, "bytes")


def main(model, data):
    HERE.mkdir(exist_ok=True)
    field = GGUFReader(model).fields
    tokens, types = (field["tokenizer.ggml." + k].contents() for k in ("tokens", "token_type"))
    merges = field["tokenizer.ggml.merges"].contents()
    t = build(tokens, merges, [s for s, k in zip(tokens, types) if k == 3], CUTS["smollm"])
    rows = []
    for text in texts(1000, 1):
        t.encode_special_tokens = False
        row = {"text": text, "ids": t.encode(text, add_special_tokens=False).ids}
        t.encode_special_tokens = True  # control tokens are text, as in data
        off = t.encode(text, add_special_tokens=False).ids
        if off != row["ids"]:
            row["off"] = off
        rows.append(row)
    write("smollm2.jsonl", rows)
    data = pathlib.Path(data)
    vocabulary = json.loads((data / "gpt2_vocab.json").read_text())
    lines = (data / "gpt2_merges.txt").read_text(encoding="utf-8").split("\n")
    merges = [line for line in lines if line and not line.startswith("#version")]
    t = build(sorted(vocabulary, key=vocabulary.get), merges, [], GPT2)
    rows = []
    for text in texts(300, 2):
        row = {"text": text, "ids": t.encode(text).ids}
        for name, cut in CUTS.items():
            row[name] = [len(word) for word, _ in cut.pre_tokenize_str(text)]  # one character for each byte
        if normalizers.NFC().normalize_str(text) != text:
            row["nfc"] = normalizers.NFC().normalize_str(text)
        rows.append(row)
    write("splits.jsonl", rows)


main(*sys.argv[1:])
