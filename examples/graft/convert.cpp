// SPDX-License-Identifier: Apache-2.0
// graft convert: an adapter in the other format: PEFT's directory, or the GGUF file that llama.cpp takes.
#include "adapter_option.hpp"
#include "options.hpp"

#include <graft/io/model_file.hpp>
#include <graft/io/trained.hpp>
#include <graft/text/json.hpp>

#include <cstdio>

namespace tool {
namespace {

struct convert_line {
    std::string model, output;
    adapter_list adapters;
    bool json = false, overwrite = false;

    options declare() {
        options o("convert",
                  "An adapter in another format: a GGUF adapter for llama.cpp where OUTPUT ends in .gguf, else PEFT's\n"
                  "directory. Several adapters become their sum.",
                  "Examples:\n"
                  "  graft convert --model m.gguf --adapter out --output adapter.gguf\n"
                  "  graft convert --model m.gguf --adapter adapter.gguf --output peft\n"
                  "  graft convert --model m.gguf --adapter A:0.7 --adapter B --output sum");
        o.text("model", model, "PATH", "the base model: a GGUF file or a Hugging Face directory")
            .short_form("m")
            .required()
            .also({"model-path", "base"});
        adapters.declare(o).required();
        o.text("output", output, "OUTPUT", "NAME.gguf, or a directory").short_form("o").required();
        o.flag("overwrite", overwrite, "replace what is there");
        o.flag("json", json, "what was written, as an object");
        return o;
    }
};

result<int> run(convert_line const& o) {
    auto const model = open_model(o.model, {.tokenizer = false});
    if (!model) return model.error();
    auto const a = open_adapters(o.adapters.choices, model->config);
    if (!a) return a.error();
    bool const gguf = o.output.ends_with(".gguf");
    save_options save{o.overwrite, {o.model}, {}};
    for (auto const& c : o.adapters.choices) save.inputs.push_back(c.path);
    auto const written = gguf ? write_adapter_gguf(o.output, *a, model->config, save) : write_peft(o.output, *a, save);
    if (!written) return written.error();
    std::string const kind = gguf ? "GGUF adapter" : "PEFT adapter";
    std::string const method =
        std::string(has_magnitudes(*a) ? "dora" : "lora") + (a->rslora && !gguf ? ", rank-stabilised" : "");
    if (o.json)
        print(nlohmann::json{{"output", o.output},
                             {"kind", kind},
                             {"method", method},
                             {"rank", extent_of(*a).rank},
                             {"pairs", a->pairs.size()}});
    else
        std::printf("%s: %s, %s, %zu pairs of rank up to %td\n", o.output.c_str(), kind.c_str(), method.c_str(),
                    a->pairs.size(), extent_of(*a).rank);
    return 0;
}

}  // namespace

int convert(arguments const& all) {
    convert_line o;
    auto declared = o.declare();
    auto const parsed = declared.parse(adapter_list::gather(all));
    if (!parsed) return refuse(parsed.error(), wants_json(all));
    if (!*parsed) return 0;
    auto const done = run(o);
    return done ? *done : refuse(done.error(), o.json);
}

}  // namespace tool
