// SPDX-License-Identifier: Apache-2.0
#include <graft/block/head.hpp>
#include <graft/quant/formats.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace graft;

namespace {

constexpr index_t tokens = 5, wide = 6, vocabulary = 1037;  // several chunks and a tail

struct rig {
    std::vector<float> W, norm;
    std::vector<double> x, gradient, scratch;
    std::vector<index_t> list{0, 2, 3};
    std::vector<int> targets{1036, 0, 511};
    rig()
        : gradient(tokens * wide, 1e9),
          scratch(static_cast<std::size_t>(loss_head<double>::scratch_bytes(tokens, wide)) / 8, NAN) {
        for (index_t i = 0; i < vocabulary * wide; ++i)
            W.push_back(static_cast<float>(std::sin(0.7 * static_cast<double>(i))));
        for (index_t i = 0; i < tokens * wide; ++i) x.push_back(std::cos(1.3 * static_cast<double>(i)) + 0.1);
        for (index_t i = 0; i < wide; ++i) norm.push_back(1 + 0.1f * static_cast<float>(i));
    }
    loss_head<double> head() const {
        return {weight{reinterpret_cast<std::byte const*>(W.data()), vocabulary, wide, f32}, norm.data(), 1e-5};
    }
    double loss(bool pull, memory_visitor used = {}) {
        matrix<double> const g{gradient.data(), tokens, wide};
        auto h = head();
        h.used = used;
        return h({x.data(), tokens, wide}, list, targets, pull ? g : matrix<double>{}, 0.5, scratch.data());
    }
    /// The same, written out row by row.
    double written_out() const {
        double sum = 0;
        for (std::size_t k = 0; k < list.size(); ++k) {
            double const* const row = x.data() + list[k] * wide;
            double square = 0, most = -1e300, total = 0;
            for (index_t j = 0; j < wide; ++j) square += row[j] * row[j];
            double const r = 1 / std::sqrt(square / wide + 1e-5);
            std::vector<double> logits;
            for (index_t v = 0; v < vocabulary; ++v) {
                double l = 0;
                for (index_t j = 0; j < wide; ++j)
                    l += row[j] * r *
                         static_cast<double>(norm[static_cast<std::size_t>(j)] *
                                             W[static_cast<std::size_t>(v * wide + j)]);
                logits.push_back(l), most = std::max(most, l);
            }
            for (double l : logits) total += std::exp(l - most);
            sum += most + std::log(total) - logits[static_cast<std::size_t>(targets[k])];
        }
        return sum;
    }
};

}  // namespace

TEST_CASE("head: the loss is the sum over rows with a target, and its gradient agrees with central differences") {
    rig r;
    CHECK(r.loss(false) == doctest::Approx(r.written_out()).epsilon(1e-6));
    CHECK(r.loss(true) == doctest::Approx(r.loss(false)).epsilon(1e-13));
    auto const given = r.gradient;
    for (std::size_t i = 0; i < r.x.size(); ++i) {
        double const keep = r.x[i], e = 1e-5;
        r.x[i] = keep + e;
        double const above = r.loss(false);
        r.x[i] = keep - e;
        double const below = r.loss(false);
        r.x[i] = keep;
        double const numeric = 0.5 * (above - below) / (2 * e);
        CHECK(std::abs(numeric - given[i]) <= 1e-8 + 1e-6 * std::abs(given[i]));
    }
}

TEST_CASE("head: rows without a target have a gradient of exactly zero; without any target there is no loss") {
    rig r;
    r.loss(true);
    for (index_t i : {1, 4})
        for (index_t j = 0; j < wide; ++j) CHECK(r.gradient[static_cast<std::size_t>(i * wide + j)] == 0);
    r.list.clear(), r.targets.clear();
    CHECK(r.loss(true) == 0);
    for (double g : r.gradient) CHECK(g == 0);
}

TEST_CASE("head: tells which rows of W were read, each chunk once and in order, then the targets'; no bit changes") {
    using told = std::vector<index_t>;
    struct watcher {
        std::byte const* start;
        told seen{};
        static void note(void* self, std::byte const* first, index_t bytes) {
            auto& me = *static_cast<watcher*>(self);
            index_t const row = wide * static_cast<index_t>(sizeof(float));
            CHECK(((first - me.start) % row == 0 && bytes % row == 0));
            me.seen.push_back((first - me.start) / row), me.seen.push_back(bytes / row);
        }
    };
    rig plain, watched;
    watcher w{reinterpret_cast<std::byte const*>(watched.W.data())};
    memory_visitor const used{&watcher::note, &w};
    told chunks;
    for (index_t first = 0; first < 1037; first += cross_entropy_chunk)
        chunks.insert(chunks.end(), {first, std::min(cross_entropy_chunk, 1037 - first)});
    told const targets{1036, 1, 0, 1, 511, 1};

    CHECK(watched.loss(false, used) == plain.loss(false));
    CHECK(w.seen == chunks);
    w.seen.clear();
    CHECK(watched.loss(true, used) == plain.loss(true));
    told all = chunks;
    all.insert(all.end(), targets.begin(), targets.end());
    CHECK(w.seen == all);
    CHECK(watched.gradient == plain.gradient);
}
