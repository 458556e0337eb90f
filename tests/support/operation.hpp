// SPDX-License-Identifier: Apache-2.0
// One operation of general expressions, tried in every way: what tests/support/operation_table.hpp has rows of.
#pragma once

#include <graft/program/prepare.hpp>

#include <tests/support/grid.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <string>
#include <tuple>

namespace graft_test {

extern std::atomic<long> allocations;  // tests/program/count_allocations.cpp

inline int const says_failures = (doctest::registerExceptionTranslator<failure>([](failure f) {
    return doctest::String((std::string(f.what()) + ": " + std::to_string(f.details.given) + ", wanted " +
                            std::to_string(f.details.wanted)).c_str());
}), 0);

/// A tensor of a scalar reference: its sizes, its numbers.
struct box {
    sizes_t sizes{};
    std::vector<double> at{};

    box() = default;
    explicit box(sizes_t const& n) : sizes(n), at(static_cast<std::size_t>(count(n))) {}
    double& operator[](index_t k) { return at[static_cast<std::size_t>(k)]; }
    double operator[](index_t k) const { return at[static_cast<std::size_t>(k)]; }
    index_t size() const { return static_cast<index_t>(at.size()); }
    index_t columns() const { return sizes.rank > 0 ? sizes[sizes.rank - 1] : 1; }
    index_t rows() const { return columns() > 0 ? size() / columns() : 0; }
    double inner(box const& other) const {
        double s = 0;
        for (index_t k = 0; k < size(); ++k) s += (*this)[k] * other[k];
        return s;
    }
};
inline sizes_t sized(std::initializer_list<index_t> n) {
    sizes_t s;
    for (auto d : n) s.push(d);
    return s;
}

/// How an argument's numbers are made: uniform between low and high; on a lattice of 0.1 with an offset, so that two
/// arguments are nowhere nearer than their offsets; all different; at least 0.1 from 0; indices.
struct domain {
    double low = -2, high = 2;
    enum { uniform, lattice, distinct, not_zero, index } kind = uniform;
    double offset = 0;

    box made(sizes_t const& sizes, std::uint64_t seed) const {
        box b(sizes);
        for (index_t k = 0; k < b.size(); ++k) {
            double const u = (spread(seed, static_cast<std::uint64_t>(k)) + 1) / 2;
            double x = low + (high - low) * u;
            if (kind == lattice) x = std::round(x * 10) / 10 + offset;
            if (kind == distinct) x = low + (high - low) * static_cast<double>(k * 89 % 251) / 251;
            if (kind == not_zero) x += x < 0 ? -0.1 : 0.1;
            if (kind == index) x = std::floor(x);
            b[k] = x;
        }
        return b;
    }
};

/// Memory of exactly `bytes` bytes between canaries, all poisoned: as numbers, it is NaN.
struct guarded {
    static constexpr std::size_t guard = 256;
    std::vector<std::byte> block;
    std::size_t begin, size;

    explicit guarded(index_t bytes)
        : block(static_cast<std::size_t>(bytes) + 2 * guard + 64, std::byte{0xff}),
          size(static_cast<std::size_t>(bytes)) {
        auto const at = reinterpret_cast<std::uintptr_t>(block.data()) + guard;
        begin = guard + (64 - at % 64) % 64;
    }
    std::span<std::byte> span() { return {block.data() + begin, size}; }
    bool intact() const {
        for (std::size_t k = 0; k < block.size(); ++k)
            if ((k < begin || k >= begin + size) && block[k] != std::byte{0xff}) return false;
        return true;
    }
};

/// Runs a function in guarded memory of exactly the bytes it asks for; arguments lie `shift` numbers behind an
/// alignment.
template <class T, class F, class... S>
std::vector<box> outputs_of(F const& f, std::vector<box> const& arguments, index_t shift, S const&... symbols) {
    std::array<std::vector<T>, sizeof...(S)> numbers;
    std::array<std::vector<std::int32_t>, sizeof...(S)> indices;
    std::size_t place = 0;
    auto const bound = [&]<class Symbol>(Symbol const& symbol) {
        box const& from = arguments[place];
        auto const filled = [&](auto& to) {
            to.resize(from.at.size() + static_cast<std::size_t>(shift));
            for (index_t k = 0; k < from.size(); ++k)
                to[static_cast<std::size_t>(k + shift)] =
                    static_cast<std::remove_reference_t<decltype(to[0])>>(from[k]);
            return to.data() + shift;
        };
        return [&]<std::size_t... A>(std::index_sequence<A...>) {
            sizes_t const n = from.sizes;
            auto const made = [&](auto* data) {
                return symbol = view<std::remove_pointer_t<decltype(data)> const, (void(A), any)...>(
                           data, {{n[static_cast<index_t>(A)]...}});
            };
            if constexpr (Symbol::index) return made(filled(indices[place++]));
            else return made(filled(numbers[place++]));
        }(std::make_index_sequence<static_cast<std::size_t>(Symbol::extents_value.rank)>{});
    };
    auto const bindings = std::tuple{bound(symbols)...};
    return std::apply(
        [&](auto const&... b) {
            index_t const size = bytes<T>(f, b...);
            guarded memory(size);
            auto const less = memory.span().first(static_cast<std::size_t>(std::max<index_t>(size - 1, 0)));
            if (size > 0)
                CHECK_THROWS_AS((prepare_in<T>(less, f, b...)), failure);
            auto const run = prepare_in<T>(memory.span(), f, b...);
            long const before = allocations;
            run();
            CHECK(allocations == before);
            CHECK(memory.intact());
            std::vector<box> found;
            [&]<int... K>(std::integer_sequence<int, K...>) {
                auto const copied = [&](auto const& v) {
                    box& to = found.emplace_back();
                    for (index_t a = 0; a < v.rank; ++a) to.sizes.push(v.size(a));
                    for (index_t k = 0; k < v.count(); ++k) to.at.push_back(static_cast<double>(v.data[k]));
                };
                (copied(run.template output<K>()), ...);
            }(std::make_integer_sequence<int, run.code.output_count>{});
            return found;
        },
        bindings);
}

/// An operation as code on boxes, whatever its types are. Arguments of `vjp`: the operands, the cotangent; of `jvp`:
/// the operands, a direction for each that is differentiated; of `hessian`: the operands, the cotangent, the
/// directions.
struct operation {
    using code = std::vector<box> (*)(std::vector<box> const&, index_t shift);
    char const* name = "";
    std::vector<domain> domains;
    std::vector<sizes_t> (*sizes)(index_t n) = nullptr;
    box (*reference)(std::vector<box> const& operands, std::vector<box> const& still) = nullptr;
    code vjp = nullptr, vjp_float = nullptr, jvp = nullptr, hessian = nullptr;  // null: it has none
    std::vector<unsigned> reads;  // per gradient, bit k: operand k
    bool flat = false;            // its gradient is 0 where it exists
    double rounding = 1;          // in units of 2e-5 in float
    index_t least = 0;            // the smallest size of the main axis
};

inline bool near(box const& a, box const& b, double absolute, double relative) {
    if (!(a.sizes == b.sizes)) return false;
    for (index_t k = 0; k < a.size(); ++k)
        if (!(std::abs(a[k] - b[k]) <= absolute + relative * std::abs(b[k]))) return false;
    return true;
}
inline bool same(box const& a, box const& b) { return near(a, b, 0, 0); }

/// Σ c f by each number of `of`, by differences of fourth order.
inline box differences(std::function<double()> const& loss, box& of, double h = 1e-3) {
    box d(of.sizes);
    for (index_t k = 0; k < of.size(); ++k) {
        double const kept = of[k];
        auto const at = [&](double step) { return of[k] = kept + step, loss(); };
        double const close = at(h) - at(-h), far = at(2 * h) - at(-2 * h);
        d[k] = (8 * close - far) / (12 * h);
        of[k] = kept;
    }
    return d;
}

inline box moved(box x, box const& v, double h) {
    for (index_t k = 0; k < x.size(); ++k) x[k] += h * v[k];
    return x;
}

/// Everything that is true of a differentiable operation.
inline void check(operation const& op) {
    std::string const name = op.name;
    CAPTURE(name);
    auto const made = [&](index_t n) {
        std::vector<box> x;
        auto const sizes = op.sizes(n);
        for (std::size_t k = 0; k < sizes.size(); ++k) x.push_back(op.domains[k].made(sizes[k], 17 * k + 3));
        return x;
    };
    auto const is_index = [&](std::size_t k) { return op.domains[k].kind == domain::index; };
    auto const with = [](std::vector<box> a, std::vector<box> const& b) {
        a.insert(a.end(), b.begin(), b.end());
        return a;
    };
    index_t const n = std::max<index_t>(op.least, 5);
    std::vector<box> const x = made(n);
    box const y = op.reference(x, x);
    box const c = domain{}.made(y.sizes, 71);

    // the value, and the pull against differences of the reference
    auto const found = op.vjp(with(x, {c}), 0);
    CHECK(near(found[0], y, 1e-12, 1e-12));
    auto at = x;
    for (std::size_t k = 0, g = 1; k < x.size(); ++k) {
        if (is_index(k)) continue;
        CAPTURE(k);
        box expected(x[k].sizes);
        if (!op.flat) expected = differences([&] { return op.reference(at, x).inner(c); }, at[k]);
        CHECK(near(found[g++], expected, op.flat ? 0 : 1e-8, 1e-6));
    }

    // <c, J v> = <Jᵀ c, v>
    std::vector<box> v;
    for (std::size_t k = 0; k < x.size(); ++k)
        if (!is_index(k)) v.push_back(domain{}.made(x[k].sizes, 100 + k));
    if (op.jvp) {
        box const moves = op.jvp(with(x, v), 0)[0];
        double pulled = 0;
        for (std::size_t g = 0; g < v.size(); ++g) pulled += found[g + 1].inner(v[g]);
        CHECK(std::abs(moves.inner(c) - pulled) <= 1e-10 * (1 + std::abs(pulled)));
    }

    // the Hessian of <c, f> times v against differences of the gradient
    if (op.hessian) {
        auto const curved = op.hessian(with(with(x, {c}), v), 0);
        double const h = 1e-3;
        std::vector<std::vector<box>> steps;
        for (double const s : {-2 * h, -h, h, 2 * h}) {
            auto moved_x = x;
            for (std::size_t k = 0, g = 0; k < x.size(); ++k)
                if (!is_index(k)) moved_x[k] = moved(x[k], v[g++], s);
            steps.push_back(op.vjp(with(moved_x, {c}), 0));
        }
        for (std::size_t g = 0; g < v.size(); ++g) {
            CAPTURE(g);
            box expected(v[g].sizes);
            for (index_t k = 0; k < expected.size(); ++k)
                expected[k] = (8 * (steps[2][g + 1][k] - steps[1][g + 1][k]) -
                               (steps[3][g + 1][k] - steps[0][g + 1][k])) / (12 * h);
            CHECK(near(curved[g], expected, 1e-8, 1e-6));
        }
    }

    // a gradient reads only what it says: NaN elsewhere changes no bit
    for (std::size_t k = 0; k < x.size(); ++k) {
        if (is_index(k)) continue;
        auto poisoned = x;
        for (double& number : poisoned[k].at) number = std::numeric_limits<double>::quiet_NaN();
        auto const again = op.vjp(with(poisoned, {c}), 0);
        for (std::size_t g = 0; g < v.size(); ++g)
            if (!(op.reads[g] >> k & 1)) {
                CAPTURE(k);
                CHECK(same(again[g + 1], found[g + 1]));
            }
    }

    // every size of the main axis, float beside double, arguments off their alignment
    for (index_t size = op.least; size <= 2 * pack<float>::width + 3; ++size) {
        CAPTURE(size);
        auto arguments = made(size);
        for (box& b : arguments)
            for (double& number : b.at) number = static_cast<double>(static_cast<float>(number));
        box const value = op.reference(arguments, arguments);
        box cotangent = domain{}.made(value.sizes, 72);
        for (double& number : cotangent.at) number = static_cast<double>(static_cast<float>(number));
        auto const exact = op.vjp(with(arguments, {cotangent}), size % 4);
        CHECK(near(exact[0], value, 1e-12, 1e-12));
        auto const rounded = op.vjp_float(with(arguments, {cotangent}), size % 3);
        for (std::size_t k = 0; k < exact.size(); ++k) {
            CAPTURE(k);
            double most = 1;
            for (double const e : exact[k].at) most = std::max(most, std::abs(e));
            CHECK(near(rounded[k], exact[k], 2e-5 * op.rounding * most, 0));
        }
    }
}

namespace detail {

/// Does a vertex read its kth input? A rule's pull is given dy, the value, what is kept, and the operands.
constexpr bool reads(vertex const& x, std::size_t k) {
    if (x.what != structure::pull || k == 0) return true;
    std::size_t const first = x.rule->keeps ? 3 : 2;
    return k == 1 ? x.rule->reads_value : k < first || (x.rule->reads_operands >> (k - first) & 1) != 0;
}
/// Does output `from` of a graph depend on an input?
template <class Graph>
constexpr bool depends(Graph const& g, int from, std::string_view input) {
    std::array<bool, static_cast<std::size_t>(Graph::size)> reached{};
    reached[static_cast<std::size_t>(from)] = true;
    for (int v = Graph::size; v-- > 0;)
        if (auto const& x = g.at(v); reached[static_cast<std::size_t>(v)])
            for (std::size_t k = 0; k < x.inputs; ++k)
                if (reads(x, k)) reached[static_cast<std::size_t>(x.in[k])] = true;
    for (auto const& i : g.inputs)
        if (i.name == input) return reached[static_cast<std::size_t>(i.vertex)];
    return false;
}

}  // namespace detail

/// Makes an operation of a row: see operation_table.hpp for what a row says.
template <class Row>
struct tried {
    template <class... S> struct symbols_of;
    template <class... S>
    struct symbols_of<std::tuple<S...>> {
        static constexpr int count = sizeof...(S);
        static constexpr auto made = Row::f(S{}...);
        static constexpr shape<extent> extents = decltype(made)::extents_value;
        template <std::size_t... A>
        static constexpr auto cotangent_of(std::index_sequence<A...>) {
            return symbol<"cotangent", (extents.axis[A] == extent{1} ? extent{1} : any)...>{};
        }
        static constexpr auto cotangent =
            cotangent_of(std::make_index_sequence<static_cast<std::size_t>(extents.rank)>{});

        /// The operands that have gradients.
        template <class X> static constexpr auto kept(X const& x) {
            if constexpr (X::index) return std::tuple<>{};
            else return std::tuple{x};
        }
        static constexpr auto wanted = std::tuple_cat(kept(S{})...);
        static constexpr std::size_t gradients = std::tuple_size_v<decltype(wanted)>;
        static constexpr auto by = std::apply([](auto const&... s) { return wrt(s...); }, wanted);
        template <std::size_t I, class X> struct direction;
        template <std::size_t I, label N, extent... E>
        struct direction<I, symbol<N, E...>> {
            static constexpr char letters[3]{'v', static_cast<char>('0' + I), 0};
            using type = symbol<label<3>{letters}, E...>;
        };
        template <std::size_t I> using wanted_t = std::tuple_element_t<I, std::remove_cvref_t<decltype(wanted)>>;
        static constexpr auto directions = []<std::size_t... I>(std::index_sequence<I...>) {
            return std::tuple<typename direction<I, wanted_t<I>>::type...>{};
        }(std::make_index_sequence<gradients>{});

        static constexpr auto vjp_of() { return vjp(function(made), by, cotangent); }
        static constexpr auto jvp_of() {
            return std::apply([](auto const&... d) { return jvp(function(made), by, along(d...)); }, directions);
        }
        static constexpr auto hessian_of() {
            return std::apply([](auto const&... d) { return hessian_vector(sum(made * cotangent), by, along(d...)); },
                              directions);
        }
        template <class T>
        static std::vector<box> run_vjp(std::vector<box> const& a, index_t shift) {
            return outputs_of<T>(vjp_of(), a, shift, S{}..., cotangent);
        }
        static std::vector<box> run_jvp(std::vector<box> const& a, index_t shift) {
            return std::apply([&](auto const&... d) { return outputs_of<double>(jvp_of(), a, shift, S{}..., d...); },
                              directions);
        }
        static std::vector<box> run_hessian(std::vector<box> const& a, index_t shift) {
            return std::apply(
                [&](auto const&... d) { return outputs_of<double>(hessian_of(), a, shift, S{}..., cotangent, d...); },
                directions);
        }

        using pulled = typename decltype(vjp_of())::program;
        static constexpr std::array<std::string_view, sizeof...(S)> names{S::name...};
        /// The operands that gradient g depends on.
        static constexpr unsigned read_by(std::size_t g) {
            unsigned mask = 0;
            for (std::size_t k = 0; k < names.size(); ++k)
                if (detail::depends(pulled::code, pulled::code.outputs[g + 1], names[k])) mask |= 1u << k;
            return mask;
        }
        static constexpr bool reads_what_it_says = [] {
            for (std::size_t g = 0; g < gradients; ++g)
                if (read_by(g) != Row::reads[g]) return false;
            return true;
        }();
        static_assert(reads_what_it_says, "a gradient depends on other operands than the row says");
        static_assert(Row::covered_by(pulled::code), "the row's graph lacks the operation that the row stands for");

        static operation get() {
            operation op;
            op.name = Row::name;
            for (auto const& d : Row::domains) op.domains.push_back(d);
            for (auto const r : Row::reads) op.reads.push_back(r);
            op.sizes = Row::sizes, op.reference = Row::reference;
            op.vjp = run_vjp<double>, op.vjp_float = run_vjp<float>;
            if constexpr (Row::pushes) op.jvp = run_jvp;
            if constexpr (Row::bends) op.hessian = run_hessian;
            op.flat = Row::flat, op.rounding = Row::rounding, op.least = Row::least;
            return op;
        }
    };
    static operation get() { return symbols_of<typename Row::arguments>::get(); }
};

}  // namespace graft_test
