// SPDX-License-Identifier: Apache-2.0
// MeSP as its authors published it, to compare with.                                     (layer 10: strategy)
#pragma once

#include <graft/strategy/strategy.hpp>

namespace graft {

/// A block runs again as a whole; of its values eight stay to the end of its pull: the stream, what two norms give,
/// attention's weights and result, the stream between the stages, and the two factors of the gate. Queries, keys and
/// values are computed again for the pull, and so is the gate. Gradients lie beside values.
///
/// source   MeSP, arXiv 2602.13069, section 4.5.
struct mesp_published {
    static constexpr index_t tile = 0;
    static constexpr bool in_place = false;
    bool stored_weights = true;

    constexpr void forward(auto& c) const {
        for (index_t s = 0; s < c.stages; ++s) c.scene(), c.run(s, {.value = true});
    }
    constexpr void backward(auto& c) const {
        for (index_t s = 0; s < c.stages; ++s) c.scene(), c.run(s, {.value = true, .pull = true});
        for (index_t s = c.stages; s-- > 0;) {
            c.scene();
            for (index_t i = c.code.begin(s) + 1; i <= c.code.last(s); ++i)
                if (computed_again(c, s, i)) c.run_again(s, i);
            c.pull(s);
        }
        c.scene();
        for (index_t s = 0; s < c.stages; ++s)
            for (index_t i = c.code.begin(s); i < c.code.last(s); ++i)
                if (!computed_again(c, s, i)) c.hold(s, i);
    }

private:
    static constexpr bool is_read_by(auto const& step, index_t i) {
        for (index_t k : step.in)
            if (k == i) return true;
        return false;
    }
    /// The one operation of a stage that reads a value; −1: none or several.
    static constexpr index_t only_reader(auto const& c, index_t stage, index_t i) {
        index_t reader = -1;
        for (index_t j = i + 1; j <= c.code.last(stage); ++j) {
            if (!is_read_by(c.code.at(j), i)) continue;
            if (reader >= 0) return -1;
            reader = j;
        }
        return reader;
    }
    static constexpr bool leads_to_attention(auto const& c, index_t stage, index_t i) {
        index_t const reader = only_reader(c, stage, i);
        return reader >= 0 && (c.code.at(reader).residue(c.n) > 0 || leads_to_attention(c, stage, reader));
    }
    /// What one operation alone reads, where that is attention or on the way to it, or where it costs no product.
    static constexpr bool computed_again(auto const& c, index_t stage, index_t i) {
        if (i == c.code.begin(stage) || only_reader(c, stage, i) < 0 || c.code.at(i).residue(c.n) > 0) return false;
        return c.code.at(i).work(c.n, 1, false, false, false) == 0 || leads_to_attention(c, stage, i);
    }
};
static_assert(GradientStrategy<mesp_published>);

}  // namespace graft
