// SPDX-License-Identifier: Apache-2.0
// The loss of a language model's head, streamed over the vocabulary: no full logits.      (layer 6: kernel)
#pragma once

#include <graft/base/error.hpp>
#include <graft/kernel/product.hpp>
#include <graft/kernel/softmax.hpp>
#include <graft/memory/visitor.hpp>
#include <graft/quant/weight.hpp>

#include <algorithm>
#include <span>
#include <type_traits>

namespace graft {

/// How many logits of a row exist at a time.
inline constexpr index_t cross_entropy_chunk = blocking::logits;

/// Numbers of T that `cross_entropy` needs for up to `rows` rows.
constexpr index_t cross_entropy_scratch(index_t rows, index_t chunk = cross_entropy_chunk) {
    return rows * (chunk + 4);
}

namespace detail {

/// A run of row i, at most `longest_depth` numbers; a block format wants `first` and `count` in multiples of 32.
template <class T>
void read_run(matrix<T> m, index_t i, index_t first, index_t count, T* to) {
    std::copy_n(m.row(i) + first, count, to);
}
template <class T>
void read_run(weight const& w, index_t i, index_t first, index_t count, T* to) {
    if constexpr (std::is_same_v<T, float>) {
        w.how->decode(w.row(i), first, count, to);
    } else {
        float narrow[longest_depth];
        w.how->decode(w.row(i), first, count, narrow);
        std::copy_n(narrow, count, to);
    }
}

/// Tells that all rows of a head, or of a part of one, were read. Numbers that are not stored weights lie in memory.
template <class T>
void tell_used(memory_visitor const&, matrix<T>) {}
inline void tell_used(memory_visitor const& used, weight const& w) { used(w); }

/// One row's softmax over the logits seen so far: the largest, Σ exp(logit - largest) with what rounding took from the
/// sum (Kahan), and the target's logit.
template <class T>
struct running_softmax {
    T largest, total, lost, target;

    void start() { *this = {static_cast<T>(-1e30), T(0), T(0), T(0)}; }

    /// Logits become exp(logit - largest); returns the factor by which what was summed before shrinks.
    T take(T* logits, index_t count) {
        T const before = largest;
        largest = row_max(logits, count, before);
        T const shrink = softmax_exp(before - largest);
        total *= shrink, lost *= shrink;
        T const term = row_exp(logits, count, largest) - lost, sum = total + term;
        lost = (sum - total) - term;
        total = sum;
        return shrink;
    }
    T loss() const { return largest + log(total) - target; }
};

}  // namespace detail

/// Σ over rows of -log softmax(x headᵀ)[target], and, where dx has data, dx = scale (softmax - onehot) head: one pass
/// over the vocabulary, `chunk` columns at a time. dx is the accumulator: it shrinks when a row's largest logit moves.
///
/// shapes   x, dx: rows × width    head: vocabulary × width, matrix or stored weight    losses: rows, or none
/// needs    targets below the vocabulary; a negative one masks its row: loss and dx are exactly 0. Masked rows cost as
///          much as others: `gather_rows` leaves them out beforehand, `spread_rows` puts dx back.
/// `used`   is told after each chunk which rows of the head were read, and at the end of each target's: with it, these
///          rows are read one after another and not by all lanes, for each may bring megabytes of a file into memory
/// cost     2 (loss) or 4 rows vocabulary width flops
template <class T, class M>
double cross_entropy(matrix<T> dx, matrix<T> x, M head, std::span<int const> targets, T scale, T* scratch,
                     std::span<T> losses = {}, index_t chunk = cross_entropy_chunk, memory_visitor used = {}) {
    index_t const rows = x.rows, width = x.columns, vocabulary = head.rows;
    require(static_cast<index_t>(targets.size()) == rows, fault::shape, "cross_entropy: targets",
            static_cast<index_t>(targets.size()), rows);
    require(losses.empty() || static_cast<index_t>(losses.size()) == rows, fault::shape, "cross_entropy: losses",
            static_cast<index_t>(losses.size()), rows);
    matrix<T> const chunk_logits(scratch, rows, chunk, x.on);
    matrix<T> const state(scratch + rows * chunk, rows, 4);
    dx.on = x.on;
    auto const target = [=](index_t i) { return static_cast<index_t>(targets[static_cast<std::size_t>(i)]); };
    auto const softmax = [=](index_t i) {
        T const* const s = state.row(i);
        return detail::running_softmax<T>{s[0], s[1], s[2], s[3]};
    };
    auto const put_back = [=](index_t i, detail::running_softmax<T> const& s) {
        T const now[4] = {s.largest, s.total, s.lost, s.target};
        std::copy_n(now, 4, state.row(i));
    };
    auto const scale_row = [=](index_t i, T factor) {
        T* const d = dx.row(i);
        along<T>(width, [=](index_t j, auto access) { access.store(d + j, access.load(d + j) * pack<T>(factor)); });
    };
    for (index_t i = 0; i < rows; ++i) {
        require(target(i) < vocabulary, fault::bounds, "cross_entropy: target", target(i), vocabulary - 1);
        detail::running_softmax<T> s;
        s.start(), put_back(i, s);
    }

    for (index_t first = 0; first < vocabulary && rows > 0; first += chunk) {
        index_t const count = std::min(chunk, vocabulary - first);
        auto const part = head.slice(first, count);
        auto const logits = chunk_logits.cut(0, count);
        logits = x * t(part);
        each_row(x.on, rows, chunk, [&](index_t i) {
            auto s = softmax(i);
            if (index_t const c = target(i) - first; c >= 0 && c < count) s.target = logits(i, c);
            T const shrink = s.take(logits.row(i), count);
            if (dx && first > 0 && shrink != T(1)) scale_row(i, shrink);
            put_back(i, s);
        });
        if (dx) dx.as_fresh(first == 0) += logits * part;
        detail::tell_used(used, part);
    }

    index_t const at_once = used ? 1 : rows;
    for (index_t start = 0; dx && start < rows; start += at_once) {
        index_t const count = std::min(at_once, rows - start);
        each_row(x.on, count, width, [&](index_t k) {
            index_t const i = start + k;
            T* const d = dx.row(i);
            if (target(i) < 0) return void(std::fill_n(d, width, T(0)));
            pack<T> const share = scale / softmax(i).total, hit = -scale;
            for (index_t first = 0; first < width; first += longest_depth) {
                T run[longest_depth];
                index_t const n = std::min(longest_depth, width - first);
                detail::read_run(head, target(i), first, n, run);
                along<T>(n, [=, &run](index_t j, auto access) {
                    T* const to = d + first + j;
                    access.store(to, fma(access.load(to), share, access.load(run + j) * hit));
                });
            }
        });
        if (used && target(start) >= 0) detail::tell_used(used, head.slice(target(start), 1));
    }
    double sum = 0;
    for (index_t i = 0; i < rows; ++i) {
        T const loss = target(i) < 0 ? T(0) : softmax(i).loss();
        if (!losses.empty()) losses[static_cast<std::size_t>(i)] = loss;
        sum += static_cast<double>(loss);
    }
    return sum;
}

/// y = x headᵀ: the logits of single rows, as in generation.
template <class T, class M>
void logits(matrix<T> y, matrix<T> x, M head) {
    y = x * t(head);
}

}  // namespace graft
