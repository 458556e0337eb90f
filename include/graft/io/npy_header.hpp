// SPDX-License-Identifier: Apache-2.0
// The header of a .npy file: what numbers follow, in what shape and order.               (layer 16: io)
//
// source   NumPy enhancement proposal 1, "A Simple File Format for NumPy Arrays": magic, version, length, a dictionary
//          written as a Python literal, padding, numbers.
#pragma once

#include <graft/base/result.hpp>
#include <graft/io/byte_reader.hpp>
#include <graft/io/checked.hpp>
#include <graft/io/in_quotes.hpp>
#include <graft/shape/shape.hpp>

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace graft {

/// The types of number that are read: NumPy's name and the bytes of one.
enum class npy_type : unsigned char { f2, f4, f8, i1, i4, i8, u1, b1 };

namespace detail {
struct npy_type_row {
    npy_type type;
    std::string_view name;
    unsigned bytes;
};
inline constexpr std::array<npy_type_row, 8> npy_types{{{npy_type::f2, "<f2", 2}, {npy_type::f4, "<f4", 4},
                                                        {npy_type::f8, "<f8", 8}, {npy_type::i1, "|i1", 1},
                                                        {npy_type::i4, "<i4", 4}, {npy_type::i8, "<i8", 8},
                                                        {npy_type::u1, "|u1", 1}, {npy_type::b1, "|b1", 1}}};

inline problem npy_problem(std::string const& file, std::string what, std::string where, std::string expected = {},
                           std::string got = {}, std::string hint = {}) {
    return {cause::bad_file, file, std::move(what), std::move(where), std::move(expected), std::move(got),
            std::move(hint)};
}
}  // namespace detail

inline std::string npy_type_name(npy_type type) {
    return std::string(detail::npy_types[static_cast<std::size_t>(type)].name);
}

/// What a file says before its numbers, and these.
struct npy_header {
    npy_type type = npy_type::f4;
    bool fortran_order = false;
    std::vector<std::uint64_t> shape;
    std::span<std::byte const> data;

    /// "(3, 4)"
    std::string describe_shape() const {
        std::string s = "(";
        for (std::size_t a = 0; a < shape.size(); ++a) s += (a ? ", " : "") + std::to_string(shape[a]);
        return s + (shape.size() == 1 ? ",)" : ")");
    }
};

namespace detail {

/// Reads the dictionary `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`: these three keys, once each, in
/// any order, and nothing else but blanks and one newline at the end.
class npy_dictionary {
public:
    npy_dictionary(std::string_view header, std::uint64_t starts_at, std::string const& path)
        : text(header), start(starts_at), file(path) {}

    result<npy_header> parse() {
        npy_header h;
        bool descr = false, order = false, shape = false;
        if (auto const r = expect('{', "a dictionary"); !r) return r.error();
        while (blank(), !taken('}')) {
            std::string_view key;
            if (auto const r = string(key); !r) return r.error();
            if (auto const r = expect(':', "':' after a key"); !r) return r.error();
            blank();
            bool* const seen = key == "descr"           ? &descr
                               : key == "fortran_order" ? &order
                               : key == "shape"         ? &shape
                                                        : nullptr;
            if (!seen)
                return wrong("the header has a key that is not known", "descr, fortran_order, shape", in_quotes(key));
            if (*seen) return wrong("the header has a key twice", {}, in_quotes(key));
            *seen = true;
            auto const r = key == "descr" ? type(h) : key == "shape" ? tuple(h) : truth(h);
            if (!r) return r.error();
            blank();
            if (!taken(',') && !(at < text.size() && text[at] == '}'))
                return wrong("the header is not a dictionary", "',' or '}'", here());
        }
        if (!descr || !order || !shape)
            return wrong("the header misses a key", "descr, fortran_order, shape",
                         std::string(!descr ? "no descr" : !order ? "no fortran_order" : "no shape"));
        blank();
        if (taken('\n') && at == text.size()) return h;
        return wrong("the header does not end with its dictionary", "blanks and a newline", here());
    }

private:
    result<void> type(npy_header& h) {
        std::string_view name;
        std::string const hint = "np.save(path, x.astype(np.float32))";
        if (at < text.size() && text[at] != '\'' && text[at] != '"')
            return wrong("the numbers are records", "one number at each position", here(), hint);
        if (auto const r = string(name); !r) return r;
        for (auto const& row : npy_types)
            if (name == row.name || (row.bytes == 1 && name.size() == 3 && name.substr(1) == row.name.substr(1) &&
                                     (name[0] == '<' || name[0] == '='))) {
                h.type = row.type;
                return {};
            }
        return wrong("the numbers are of a type that is not read", "<f2, <f4, <f8, |i1, <i4, <i8, |u1 or |b1",
                     in_quotes(name), hint);
    }
    result<void> truth(npy_header& h) {
        for (std::string_view const word : {"True", "False"})
            if (text.substr(at, word.size()) == word) {
                at += word.size(), h.fortran_order = word == "True";
                return {};
            }
        return wrong("fortran_order is not a truth value", "True or False", here());
    }
    result<void> tuple(npy_header& h) {
        if (auto const r = expect('(', "a tuple of sizes"); !r) return r;
        bool comma = true;  // what may stand before a size
        while (blank(), !taken(')')) {
            if (!comma) return wrong("the shape is not a tuple", "',' or ')'", here());
            if (h.shape.size() == most_axes)
                return wrong("the shape has too many axes", "at most " + std::to_string(most_axes), "more");
            std::uint64_t size = 0;
            std::size_t const first = at;
            for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at)
                if (!checked_mul(size, 10, size) || !checked_add(size, static_cast<unsigned>(text[at] - '0'), size) ||
                    size > PTRDIFF_MAX)
                    return wrong("a size of the shape is too large", "at most " + std::to_string(PTRDIFF_MAX), {});
            if (at == first) return wrong("a size of the shape is not a whole number", "digits", here());
            h.shape.push_back(size);
            blank();
            comma = taken(',');
        }
        if (h.shape.size() == 1 && !comma) return wrong("the shape is a number, not a tuple", "(n,)", "(n)");
        return {};
    }
    /// A string without escapes, in either kind of quotes.
    result<void> string(std::string_view& s) {
        if (at == text.size() || (text[at] != '\'' && text[at] != '"'))
            return wrong("the header is not a dictionary", "a string in quotes", here());
        char const quote = text[at++];
        std::size_t const end = text.find_first_of("'\"\\\n", at);
        if (end == text.npos || text[end] != quote)
            return wrong("a string of the header does not end", std::string(1, quote), {});
        s = text.substr(at, end - at);
        at = end + 1;
        return {};
    }
    result<void> expect(char c, char const* what) {
        blank();
        if (taken(c)) return {};
        return wrong("the header is not what it should be", what, here());
    }
    bool taken(char c) { return at < text.size() && text[at] == c ? (++at, true) : false; }
    void blank() {
        while (at < text.size() && text[at] == ' ') ++at;
    }
    std::string here() const { return at == text.size() ? "the end" : in_quotes(text.substr(at, 8)); }
    problem wrong(std::string what, std::string expected, std::string got, std::string hint = {}) const {
        return npy_problem(file, std::move(what), "at byte " + std::to_string(start + at), std::move(expected),
                           std::move(got), std::move(hint));
    }

    std::string_view text;
    std::uint64_t start;
    std::string const& file;
    std::size_t at = 0;
};

}  // namespace detail

/// The header of a .npy file in memory; `data` is exactly the bytes of its numbers.
inline result<npy_header> parse_npy_header(std::span<std::byte const> bytes, std::string const& file) {
    constexpr std::string_view magic = "\x93NUMPY";
    byte_reader in(bytes);
    std::span<std::byte const> word;
    if (!in.take(magic.size(), word) || as_text(word) != magic)
        return detail::npy_problem(file, "is not a .npy file", "at byte 0", "\\x93NUMPY", "other bytes",
                                   "np.save(path, x); an .npz is a zip archive of .npy files");
    std::uint8_t major = 0, minor = 0;
    std::uint16_t short_length = 0;
    std::uint32_t length = 0;
    bool const whole = in.take(major) && in.take(minor);
    if (whole && (major < 1 || major > 3 || minor != 0))
        return detail::npy_problem(file, "is of a version that is not read", "at byte 6", "1.0, 2.0 or 3.0",
                                   std::to_string(major) + "." + std::to_string(minor), "np.save(path, x)");
    bool const sized = whole && (major == 1 ? in.take(short_length) : in.take(length));
    if (major == 1) length = short_length;
    if (!sized || !in.take(length, word))
        return detail::npy_problem(file, "ends inside its header", "at byte " + std::to_string(in.position()),
                                   std::to_string(length) + " bytes", std::to_string(in.left()),
                                   "copying the file again");
    auto read = detail::npy_dictionary(as_text(word), in.position() - length, file).parse();
    if (!read) return read;
    std::uint64_t expected = 0;
    // An empty axis makes the product 0, in whatever order the sizes come.
    bool const empty = std::find(read->shape.begin(), read->shape.end(), 0u) != read->shape.end();
    bool const fits = empty || (checked_product(read->shape, expected) &&
                                checked_mul(expected, detail::npy_types[static_cast<std::size_t>(read->type)].bytes,
                                            expected));
    if (!fits || expected != in.left())
        return detail::npy_problem(
            file, "has another number of bytes than its shape " + read->describe_shape() + " needs",
            "at byte " + std::to_string(in.position()),
            fits ? std::to_string(expected) + " bytes" : std::string("fewer than 2^64 bytes"),
            std::to_string(in.left()), "copying the file again");
    read->data = bytes.subspan(static_cast<std::size_t>(in.position()));
    return read;
}

/// Everything before the numbers of a file of version 1.0, a multiple of 64 bytes long; row-major order.
inline std::string npy_header_text(npy_type type, std::vector<std::uint64_t> const& shape) {
    npy_header h;
    h.shape = shape;
    std::string const dictionary =
        "{'descr': '" + npy_type_name(type) + "', 'fortran_order': False, 'shape': " + h.describe_shape() + ", }";
    constexpr std::size_t before = 10;
    std::size_t const length = (before + dictionary.size() + 1 + 63) / 64 * 64 - before;  // at most 8 sizes: < 2¹⁶
    std::string text = "\x93NUMPY";
    text += {'\1', '\0', static_cast<char>(length & 255), static_cast<char>(length >> 8)};
    text += dictionary;
    text.resize(before + length - 1, ' ');
    return text + "\n";
}

}  // namespace graft
