# SPDX-License-Identifier: Apache-2.0
"""Asks Python's re what patterns match: makes tests/io/python_patterns.hpp, which the C++ test reads.

usage: module_patterns.py [--count N] [--seed S] > tests/io/python_patterns.hpp
Half of the patterns are written by hand, half drawn from a grammar (good ones and broken ones). For each text two bits
say whether re.match and re.fullmatch hold; a pattern that re refuses has "!". Left out: what graft refuses by
design (flags, references to groups, looking back, possessive repeats).
"""

import argparse
import random
import re
import sys
import warnings

TEXTS = [
    "",
    "a",
    "ab",
    "aab",
    "b.a",
    "q_proj",
    "lm_head",
    "model.layers.0.self_attn.q_proj",
    "model.layers.11.mlp.up_proj",
    "model.layers.1.mlp.gate_proj",
    "visual.blocks.3.attn.qkv",
    "a-b c",
]
BY_HAND = r"""
q_proj|self_attn.q_proj|.*proj|(.*\.)?(q_proj)$|(.*\.)?(proj)$|(.*\.)?(q_proj|up_proj)$
(.*\.)?(layers.[01].*)$|^a|a$|^$|$|^
model\.layers\.\d+\.(self_attn|mlp)\.(q|k|v|o|up|gate|down)_proj|.*\.layers\.(1[0-9]|[0-9])\..*
(?!visual).*proj|^(?!.*visual).*|(?=model).*q_proj
(?=.*mlp)model.*_proj|a*|a+b|a?b|(a|b)*|(a*)*b|(?:ab)+|(?P<name>a)b|a{2}b|a{1,}b|a{,2}b|a{0}|a{2,1}|a{|a{b
a{1|a{,|{1}|a{}|a{,}
[ab]+|[^a]+|[a-c.]+|[]a]+|[^]]+|[a\-b ]+|[-a]+|[a-]+|[\d.]+|[\w.]*|[z-a]|[a-\d]|[a|[]|[\]]|\w+|\W|\s|\S+|\D+
\d*
\ba|a\b|\Bb|q\Bp|\Aa|a\Z|\Z|\x61|\x6|\q|\.|\_|\-|\n|\t|a\\|\\
(a|a(|a)|)(|()|()*|(a|b|)|*a|+a|?a|a**|a+*|a{2}{3}|a*?b|a+?|a??|^*|$*|\b+
(a|ab)(c|b.a|)|((a)|b)+\.a|.|..|.{3}|.*\.1\..*|(?:(?:a|b)|[.-])+.*|(?#comment)a
(?#|(?P<n|(?P<n>a|(?:a|model.(?=layers)layers.*|a(?!b)|a(?=b)|(?=a)*b|(?!a)|(?!)
(a+)+|(a|a)*b|(.*)*x|([a-z_.]+[0-9]*)*|(([a-z]+|\d+|[._])+)|(x+x+)+y|((a?){3}){2}|(a?){5}a{5}
"""


def drawn(rng, depth=0):
    atoms = ["a", "b", ".", "_", r"\.", r"\d", r"\w", "[ab]", "[^a]", "[a-z_]"]
    atoms += ["proj", "q_", "layers", "model", "^", "$"]
    kind = rng.random()
    if depth > 3 or kind < 0.45:
        return rng.choice(atoms)
    if kind < 0.7:
        return "".join(drawn(rng, depth + 1) for _ in range(rng.randint(2, 3)))
    if kind < 0.8:
        return rng.choice(["(", "(?:", "(?!", "(?="] if depth == 0 else ["(", "(?:"]) + drawn(rng, depth + 1) + ")"
    if kind < 0.9:
        return "(" + drawn(rng, depth + 1) + "|" + drawn(rng, depth + 1) + ")"
    return "(?:" + drawn(rng, depth + 1) + ")" + rng.choice(["*", "+", "?", "{2}", "{1,3}", "{,2}", "*?", "+?"])


def broken(rng, pattern):
    at = rng.randrange(len(pattern) + 1)
    cut = pattern[:at] + rng.choice(["(", ")", "[", "*", "{", "|", "\\", ""]) + pattern[at + rng.randint(0, 1) :]
    # Python 3.11 and later read a repeat followed by '+' as possessive, earlier ones refuse it: nothing to agree on.
    left_out = re.search(r"\\\d|\(\?[<a-zA-Z(>]|\(\?P[=>]|[*+?}]\+|\\[uUN]", cut)
    return pattern if left_out else cut


def answer(pattern):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = re.compile(pattern)
        except (re.error, OverflowError):
            return "!"
    return "".join(str((made.match(t) is not None) + 2 * (made.fullmatch(t) is not None)) for t in TEXTS)


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def hand_written():
    """Split at '|' outside groups and brackets; whole lines too."""
    for line in BY_HAND.strip().split("\n"):
        part, depth = "", 0
        for c in line:
            depth += (c == "(") - (c == ")")
            if c == "|" and depth <= 0:
                yield part
                part, depth = "", 0
            else:
                part += c
        yield part


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    patterns = dict.fromkeys(hand_written())
    while len(patterns) < options.count:
        pattern = drawn(rng)
        patterns[broken(rng, pattern) if rng.random() < 0.3 else pattern] = None
    out = sys.stdout.write
    out("// SPDX-License-Identifier: Apache-2.0\n")
    out("// What Python's re says of patterns and texts. Made by tests/oracle/module_patterns.py.\n#pragma once\n\n")
    out("namespace graft_test {\n\n")
    out("inline constexpr char const* pattern_texts[] = {\n")
    out("".join(f"    {quoted(t)},\n" for t in TEXTS) + "};\n\n")
    out("/// For each text 1 where re.match holds, and 2 more where re.fullmatch does; ")
    out('"!": re refuses the pattern.\n')
    out("struct pattern_answer {\n    char const *pattern, *answer;\n};\n\n")
    out("inline constexpr pattern_answer pattern_answers[] = {\n")
    out("".join(f"    {{{quoted(p)}, {quoted(answer(p))}}},\n" for p in patterns))
    out("};\n\n}  // namespace graft_test\n")


if __name__ == "__main__":
    main()
