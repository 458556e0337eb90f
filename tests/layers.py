#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks who may include whom: an include points to its own folder or to a lower layer.

Also: no header of the layers 0 to 13 reaches for the operating system or a heavy standard header, only simd/ includes
xsimd or intrinsics, and firmware.hpp reaches no hosted header: one that says `Hosted only` in its first lines or lies
above layer 13. The umbrellas reach everything else.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent / "include"
LAYERS = ("base shape memory simd tensor quant kernel expression rule program strategy optimizer block train "
          "parallel text io").split()
CORE = LAYERS.index("train")
OUTSIDE = {"graft/base/result.hpp"}  # what readers of files and texts return: hosted.hpp brings it with them
UMBRELLAS = {"graft/fwd.hpp": LAYERS.index("shape"), "graft/firmware.hpp": CORE, "graft/graft.hpp": CORE,
             "graft/hosted.hpp": len(LAYERS)}

# What a freestanding or nearly freestanding target has, and what costs little to compile.
LIGHT = set("""algorithm array bit climits cmath compare concepts cstddef cstdint cstdlib cstring initializer_list
iterator limits new numbers numeric span string_view tuple type_traits utility""".split())
# Headers of the layers 0 to 13 that are marked `Hosted only` may use these as well.
HOSTED = LIGHT | set("""cctype charconv deque exception map memory optional set stdexcept string unordered_map variant
vector""".split())
INTRINSICS = {"arm_neon.h", "immintrin.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def headers():
    """Every header by the name it is included with."""
    return {str(path.relative_to(ROOT)): path for path in sorted((ROOT / "graft").rglob("*.hpp"))}


def layer(name):
    """The number of a header's layer, or None where its folder has none."""
    if name in UMBRELLAS:
        return UMBRELLAS[name]
    folder = name.split("/")[1]
    return LAYERS.index(folder) if folder in LAYERS and name.count("/") >= 2 else None


def is_hosted(name, text):
    return (layer(name) or 0) > CORE or "Hosted only" in "\n".join(text.splitlines()[:8])


def includes(text):
    """(line number, quoted by < or \", name) of each include."""
    for number, line in enumerate(text.splitlines(), 1):
        if match := INCLUDE.match(line):
            yield number, match[1], match[2]


def reached(name, texts):
    """`name` and every graft header it includes, directly or not."""
    seen, waiting = set(), [name]
    while waiting:
        here = waiting.pop()
        if here not in seen and here in texts:
            seen.add(here)
            waiting += [there for _, _, there in includes(texts[here])]
    return seen


def missing(umbrella, texts):
    """Headers that an umbrella promises and does not reach."""
    promised = {"graft/firmware.hpp": lambda there: layer(there) <= CORE and not is_hosted(there, texts[there]),
                "graft/graft.hpp": lambda there: layer(there) <= CORE and there not in OUTSIDE,
                "graft/hosted.hpp": lambda there: True}.get(umbrella, lambda there: False)
    return [there for there in texts if there not in UMBRELLAS and layer(there) is not None and promised(there)
            and there not in reached(umbrella, texts)]


def check(name, texts):
    """What is wrong with one header, a line per mistake."""
    mine, hosted = layer(name), is_hosted(name, texts[name])
    if mine is None:
        return [f"{name}:1: is in no folder that has a layer"]
    wrong = []
    for number, quote, there in includes(texts[name]):
        where = f"{name}:{number}: includes {there}: "
        if quote == '"':
            wrong.append(where + "expected <...>")
        if there.startswith("graft/"):
            if there not in texts:
                wrong.append(where + "no such header")
            elif there in UMBRELLAS and name not in UMBRELLAS and there != "graft/fwd.hpp":
                wrong.append(where + "an umbrella, which is for users")
            elif layer(there) is not None and layer(there) > mine:
                wrong.append(where + f"layer {layer(there)} from layer {mine}")
            elif mine <= CORE and not hosted and is_hosted(there, texts[there]) and name != "graft/graft.hpp":
                wrong.append(where + "hosted only; say `Hosted only` in this header's first lines, or do without")
        elif there.startswith("xsimd/") or there in INTRINSICS:
            if not name.startswith("graft/simd/"):
                wrong.append(where + "only simd/ may")
        elif mine <= CORE and there not in (HOSTED if hosted else LIGHT):
            wrong.append(where + f"not for layers 0 to {CORE}{'' if hosted else ' (unless hosted only)'}")
    wrong += [f"{name}:1: misses {there}" for there in missing(name, texts)]
    if name == "graft/firmware.hpp":
        wrong += [f"{name}:1: reaches {there}, which is hosted only"
                  for there in sorted(reached(name, texts)) if is_hosted(there, texts[there])]
    return wrong


def main():
    texts = {name: path.read_text(encoding="utf-8") for name, path in headers().items()}
    failed = 0
    for name in texts:
        wrong = check(name, texts)
        failed += bool(wrong)
        print("".join(line + "\n" for line in wrong), end="")
    print(f"[layers] test cases: {len(texts)} | {len(texts) - failed} passed | {failed} failed | 0 skipped")
    return failed > 0 or not texts


if __name__ == "__main__":
    sys.exit(main())
