// SPDX-License-Identifier: Apache-2.0
// Rows of a JSONL data set, in whichever of the common shapes they come.                  (layer 15: text)
#pragma once

#include <graft/text/chat.hpp>
#include <graft/text/json.hpp>

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace graft {

/// The shapes of rows, told by the keys of a file's first row.
///
///   messages     {"messages": [{"role", "content"}, …]}
///   sharegpt     {"conversations": [{"from": "system|human|gpt", "value"}, …]}
///   completion   {"prompt", "completion"}, both texts or both lists of messages; {"question", "answer"} likewise
///   instruction  {"instruction", "input"?, "output", "system"?, "history"?: [[user, assistant], …]}
///   text         {"text"}: trained whole
enum class row_shape : unsigned char { messages, sharegpt, completion, instruction, text };

constexpr char const* shape_name(row_shape s) {
    constexpr char const* names[] = {"messages", "ShareGPT", "prompt/completion", "instruction", "text"};
    return names[static_cast<std::size_t>(s)];
}

/// One row. A completion of texts is a chat of two messages; `joined` says that a base model reads them as one text.
struct data_row {
    index_t line = 0;
    std::vector<chat_message> messages;
    std::string text;             // of shape text
    index_t prompt_messages = 0;  // so many are given, never learnt (completion of messages)
    bool joined = false;
    nlohmann::json extra = nlohmann::json::object();  // keys that are not part of the shape
};

namespace detail {

/// Reads rows of one shape; problems name file, line and key.
class row_reader {
public:
    row_reader(row_shape what, std::string const& name, index_t number) : shape(what), file(name), line(number) {}

    static std::optional<row_shape> detect(nlohmann::json const& object) {
        auto const has = [&](char const* key) { return object.contains(key); };
        if (has("messages")) return row_shape::messages;
        if (has("conversations")) return row_shape::sharegpt;
        if ((has("prompt") && has("completion")) || (has("question") && has("answer"))) return row_shape::completion;
        if (has("instruction") && has("output")) return row_shape::instruction;
        if (has("text")) return row_shape::text;
        return std::nullopt;
    }

    result<data_row> read(nlohmann::json const& object) {
        row.line = line;
        auto const done = shape == row_shape::messages      ? read_list(object, "messages", "role", "content")
                          : shape == row_shape::sharegpt    ? read_list(object, "conversations", "from", "value")
                          : shape == row_shape::completion  ? read_completion(object)
                          : shape == row_shape::instruction ? read_instruction(object)
                                                            : read_text(object);
        if (!done) return at_line(done.error());
        if (auto const* tools = member(object, "tools"); tools && !tools->is_null() && !tools->empty())
            return at_line(wrong("rows with tools are not supported", "tools", "none", tools));
        for (auto const& [key, value] : object.items())
            if (!used.contains(key)) row.extra[key] = value;
        return std::move(row);
    }

private:
    problem wrong(char const* what, std::string const& key, char const* expected, nlohmann::json const* got) const {
        problem p = wrong_value(got, key, expected, file);
        p.what = what;
        return p;
    }
    problem at_line(problem p) const {
        p.where = "line " + std::to_string(line) + ":1, " + p.where;
        return p;
    }

    /// The roles of the world, by ours.
    static std::string role_of(std::string const& said) {
        if (said == "human") return "user";
        if (said == "gpt" || said == "bot" || said == "model") return "assistant";
        return said;
    }

    result<void> read_list(nlohmann::json const& object, std::string const& key, char const* who, char const* what) {
        used.insert(key);
        auto const list = json_array(object, key, file);
        if (!list) return list.error();
        for (auto const& item : **list) {
            auto const role = json_get<std::string>(item, who, file);
            auto const content = json_get<std::string>(item, what, file);
            if (!role) return role.error();
            if (!content) return content.error();
            if (auto const* calls = member(item, "tool_calls"); calls && !calls->is_null() && !calls->empty())
                return wrong("messages with tool calls are not supported", "tool_calls", "none", calls);
            std::string const ours = role_of(*role);
            if (ours != "system" && ours != "user" && ours != "assistant")
                return wrong("a message of an unknown role", who, "system, user or assistant", member(item, who));
            row.messages.push_back({ours, *content});
        }
        return {};
    }

    result<void> read_completion(nlohmann::json const& object) {
        bool const asked = !object.contains("prompt");
        std::string const prompt = asked ? "question" : "prompt", completion = asked ? "answer" : "completion";
        if (auto const* p = member(object, prompt); p && p->is_array()) {
            if (auto const done = read_list(object, prompt, "role", "content"); !done) return done;
            row.prompt_messages = static_cast<index_t>(row.messages.size());
            return read_list(object, completion, "role", "content");
        }
        row.joined = true;
        return read_pair(object, prompt, completion);
    }

    result<void> read_pair(nlohmann::json const& object, std::string const& prompt, std::string const& completion) {
        used.insert({prompt, completion});
        auto const question = json_get<std::string>(object, prompt, file);
        auto const answer = json_get<std::string>(object, completion, file);
        if (!question) return question.error();
        if (!answer) return answer.error();
        row.messages.push_back({"user", *question});
        row.messages.push_back({"assistant", *answer});
        return {};
    }

    result<void> read_instruction(nlohmann::json const& object) {
        used.insert({"system", "input", "history"});
        auto const system = json_get_or<std::string>(object, "system", "", file);
        auto const input = json_get_or<std::string>(object, "input", "", file);
        if (!system) return system.error();
        if (!input) return input.error();
        if (!system->empty()) row.messages.push_back({"system", *system});
        if (auto const* history = member(object, "history"); history && !history->is_null()) {
            if (!history->is_array())
                return wrong("a value of the wrong type", "history", "a list of [user, assistant]", history);
            for (auto const& pair : *history) {
                if (!json_kind<std::vector<std::string>>::fits(pair) || pair.size() != 2)
                    return wrong("a value of the wrong type", "history", "a list of [user, assistant]", &pair);
                row.messages.push_back({"user", json_kind<std::string>::get(pair[0])});
                row.messages.push_back({"assistant", json_kind<std::string>::get(pair[1])});
            }
        }
        if (auto const done = read_pair(object, "instruction", "output"); !done) return done;
        if (!input->empty()) row.messages[row.messages.size() - 2].content += "\n" + *input;
        return {};
    }

    result<void> read_text(nlohmann::json const& object) {
        used.insert("text");
        auto text = json_get<std::string>(object, "text", file);
        if (!text) return text.error();
        row.text = std::move(*text);
        return {};
    }

    row_shape shape;
    std::string const& file;
    index_t line;
    data_row row;
    std::set<std::string> used;
};

}  // namespace detail

/// The rows of a file, or what was wrong with those it was allowed to skip.
struct row_file {
    row_shape shape = row_shape::messages;
    std::vector<data_row> rows;
    std::vector<problem> skipped;
    index_t seen = 0;  // rows, good and bad
};

/// Reads JSONL: one object a line; a byte order mark, CRLF and blank lines are fine. The first row decides the shape.
/// A bad row is an error, unless `skip_bad` (a fraction of the rows) allows as many as there are.
inline result<row_file> read_rows(std::string_view jsonl, std::string const& file, double skip_bad = 0) {
    if (jsonl.starts_with("\xEF\xBB\xBF")) jsonl.remove_prefix(3);
    if (auto const first = jsonl.find_first_not_of(" \t\r\n"); first != std::string_view::npos && jsonl[first] == '[')
        return problem{.file = file,
                       .what = "a JSON list is not JSONL",
                       .where = detail::line_column(jsonl, first, 1),
                       .expected = "one object a line",
                       .got = "'['",
                       .hint = "jq -c '.[]' FILE > rows.jsonl"};
    row_file out;
    bool known = false;
    for (index_t line = 1; !jsonl.empty(); ++line) {
        auto const end = jsonl.find('\n');
        auto const text = jsonl.substr(0, end);
        jsonl.remove_prefix(end == std::string_view::npos ? jsonl.size() : end + 1);
        if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        ++out.seen;
        auto const read = [&]() -> result<data_row> {
            auto const object = parse_json(text, file, line);
            if (!object) return object.error();
            auto const shape = object->is_object() ? detail::row_reader::detect(*object) : std::nullopt;
            if (!known && !shape)
                return problem{
                    .file = file,
                    .what = "a row of no known shape",
                    .where = "line " + std::to_string(line) + ":1",
                    .expected = "messages, conversations, prompt and completion, instruction and output, or text",
                    .got = printable(text, 60),
                    .hint = {}};
            if (!known) out.shape = *shape;
            known = true;
            return detail::row_reader(out.shape, file, line).read(*object);
        };
        auto row = read();
        if (row) {
            out.rows.push_back(std::move(*row));
        } else if (skip_bad > 0) {
            out.skipped.push_back(row.error());
        } else {
            return row.error();
        }
    }
    if (!out.skipped.empty() && static_cast<double>(out.skipped.size()) > skip_bad * static_cast<double>(out.seen))
        return out.skipped.front();
    if (out.rows.empty())
        return problem{.file = file,
                       .what = "no rows",
                       .where = {},
                       .expected = "one JSON object a line",
                       .got = "none",
                       .hint = {}};
    return out;
}

}  // namespace graft
