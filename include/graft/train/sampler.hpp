// SPDX-License-Identifier: Apache-2.0
// Which token comes next: the likeliest, or one drawn.                                   (layer 13: train)
#pragma once

#include <graft/base/random.hpp>

#include <algorithm>
#include <cmath>
#include <span>

namespace graft {

/// temperature 0 takes the likeliest token. Else a token is drawn from softmax(logits / temperature), among the `top_k`
/// likeliest (0: all) and the fewest whose probabilities add to `top_p`. A pure function of logits, seed and step.
struct sampler {
    double temperature = 0, top_p = 1;
    index_t top_k = 0;
    std::uint64_t seed = 0;

    /// `logits` are overwritten with probabilities when one is drawn.
    template <class T>
    int operator()(std::span<T> logits, index_t step) const {
        auto const likeliest = std::max_element(logits.begin(), logits.end());
        if (temperature <= 0) return static_cast<int>(likeliest - logits.begin());
        T const most = *likeliest;
        for (T& x : logits)
            x = static_cast<T>(std::exp((static_cast<double>(x) - static_cast<double>(most)) / temperature));
        double const least = std::max(smallest_of_k(logits), smallest_of_p(logits));
        double total = 0;
        for (T x : logits)
            if (static_cast<double>(x) >= least) total += static_cast<double>(x);
        double left = total * uniform(seed, 0x5a3b, static_cast<std::uint64_t>(step), 0);
        std::size_t last = static_cast<std::size_t>(likeliest - logits.begin());
        for (std::size_t i = 0; i < logits.size(); ++i) {
            if (static_cast<double>(logits[i]) < least) continue;
            last = i;
            if ((left -= static_cast<double>(logits[i])) < 0) break;
        }
        return static_cast<int>(last);
    }

private:
    /// The largest bound in [0, 1] for which enough(bound) still holds, by bisection: no memory, no order.
    static double bisect(auto&& enough) {
        double low = 0, high = 1;
        for (int i = 0; i < 50; ++i) {
            double const middle = 0.5 * (low + high);
            (enough(middle) ? low : high) = middle;
        }
        return low;
    }
    template <class T>
    double smallest_of_k(std::span<T const> p) const {
        if (top_k <= 0 || top_k >= static_cast<index_t>(p.size())) return 0;
        return bisect([&](double bound) {
            return std::count_if(p.begin(), p.end(), [&](T x) { return static_cast<double>(x) >= bound; }) >= top_k;
        });
    }
    template <class T> double smallest_of_k(std::span<T> p) const { return smallest_of_k(std::span<T const>(p)); }
    template <class T>
    double smallest_of_p(std::span<T> p) const {
        if (top_p >= 1) return 0;
        double total = 0;
        for (T x : p) total += static_cast<double>(x);
        return bisect([&](double bound) {
            double sum = 0;
            for (T x : p)
                if (static_cast<double>(x) >= bound) sum += static_cast<double>(x);
            return sum >= top_p * total;
        });
    }
};

}  // namespace graft
