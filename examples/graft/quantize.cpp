// SPDX-License-Identifier: Apache-2.0
// graft quantize: a copy of a model with its matrices in another format.
#include "command.hpp"
#include "options.hpp"
#include "spelling.hpp"

#include <graft/io/requantize.hpp>
#include <graft/text/json.hpp>

#include <cstdio>

namespace tool {

int quantize(arguments const& all) {
    std::string model, type, output;
    bool json = false, overwrite = false;
    options o("quantize",
              "A copy of a GGUF model with its matrices in another format. Rows that are not whole blocks become f16.",
              "Examples:\n"
              "  graft quantize --model m.gguf --type q8_0 --output m.q8_0.gguf\n"
              "  graft quantize --model m.q4_1.gguf --type f32 --output m.f32.gguf --json");
    o.text("model", model, "FILE", "a GGUF file").short_form("m").required().also({"model-path"});
    o.choice("type", type, {"f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0"}, "the format of matrices",
             {{"q4_k", "can be read but not written"},
              {"q5_k", "can be read but not written"},
              {"q6_k", "can be read but not written"}})
        .required()
        .also({"outtype"});
    o.text("output", output, "FILE", "the copy").short_form("o").required();
    o.flag("overwrite", overwrite, "replace an existing file");
    o.flag("json", json, "what was done, as an object");
    auto const parsed = o.parse(all);
    if (!parsed) return refuse(parsed.error(), wants_json(all));
    if (!*parsed) return 0;
    auto const r =
        requantize(model, output, *find_format(type), {.overwrite = overwrite, .inputs = {model}, .calls = {}});
    if (!r) return refuse(r.error(), json);
    if (json) {
        print(nlohmann::json{{"output", output},
                             {"converted", r->converted},
                             {"narrowed_to_f16", r->narrowed},
                             {"kept", r->kept},
                             {"bytes_before", r->bytes_before},
                             {"bytes_after", r->bytes_after}});
    } else {
        std::printf("%s: %llu tensors to %s, %llu to f16, %llu kept; %s of weights, were %s\n", output.c_str(),
                    static_cast<unsigned long long>(r->converted), type.c_str(),
                    static_cast<unsigned long long>(r->narrowed), static_cast<unsigned long long>(r->kept),
                    in_mebibytes(static_cast<double>(r->bytes_after)).c_str(),
                    in_mebibytes(static_cast<double>(r->bytes_before)).c_str());
    }
    return 0;
}

}  // namespace tool
