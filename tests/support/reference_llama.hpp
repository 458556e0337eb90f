// SPDX-License-Identifier: Apache-2.0
// The forward of a Llama model with adapters in plain loops and double: no rule, no plan, no kernel of the library.
// Blocks may be frozen to the change they made before: the surrogate whose gradient selective training computes.
#pragma once

#include <graft/block/llama.hpp>

#include <tests/support/strategy_rig.hpp>

namespace graft_test {

using rows_of = std::vector<std::vector<double>>;

class reference_llama {
public:
    /// Weights in f32, as `random_model` makes them; adapters where the layers' views say they lie, read at every call.
    explicit reference_llama(model<llama<lora>, double> const& of) : net(of), c(of.config) {}

    /// The mean loss over rows with a target; blocks with an entry in `fixed` add that instead of what they compute.
    double loss(sample const& s, std::vector<rows_of> const& fixed = {}) const {
        std::vector<rows_of> made;
        return loss(s, fixed, made);
    }
    /// What each block adds to the stream with the adapters as they are.
    std::vector<rows_of> changes(sample const& s) const {
        std::vector<rows_of> made;
        loss(s, {}, made);
        return made;
    }
    bool rotates = true;

private:
    model<llama<lora>, double> net;
    model_config c;

    double loss(sample const& s, std::vector<rows_of> const& fixed, std::vector<rows_of>& made) const {
        std::size_t const rows = s.ids.size();
        rows_of x(rows);
        for (std::size_t i = 0; i < rows; ++i) x[i] = row_of(net.embedding, s.ids[i]);
        std::vector<std::size_t> start(rows);
        for (std::size_t i = 0, k = 0; i < rows; ++i) {
            if (k + 1 < s.starts.size() && static_cast<std::size_t>(s.starts[k + 1]) == i) ++k;
            start[i] = static_cast<std::size_t>(s.starts[k]);
        }
        for (std::size_t l = 0; l < net.layers.size(); ++l) {
            bool const stands = l < fixed.size() && !fixed[l].empty();
            made.push_back(stands ? fixed[l] : difference(block(net.layers[l], x, start), x));
            add(x, made.back());
        }
        double sum = 0, count = 0;
        for (std::size_t i = 0; i < rows; ++i) {
            if (s.targets[i] < 0) continue;
            auto const n = norm(x[i], net.norm);
            double most = -1e300, target = 0, total = 0;
            std::vector<double> z;
            for (int v = 0; v < c.vocabulary; ++v) z.push_back(dot(row_of(net.head, v), n));
            for (double y : z) most = std::max(most, y);
            for (double y : z) total += std::exp(y - most);
            target = z[static_cast<std::size_t>(s.targets[i])] - most;
            sum += std::log(total) - target, ++count;
        }
        return sum / count;
    }
    static double dot(std::vector<double> const& a, std::vector<double> const& b) {
        double sum = 0;
        for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
        return sum;
    }
    static std::vector<double> row_of(weight const& w, index_t row) {
        auto const* const x = reinterpret_cast<float const*>(w.data) + row * w.columns;
        return {x, x + w.columns};
    }
    static void add(rows_of& to, rows_of const& x) {
        for (std::size_t i = 0; i < x.size(); ++i)
            for (std::size_t j = 0; j < x[i].size(); ++j) to[i][j] += x[i][j];
    }
    static rows_of difference(rows_of a, rows_of const& b) {
        for (std::size_t i = 0; i < a.size(); ++i)
            for (std::size_t j = 0; j < a[i].size(); ++j) a[i][j] -= b[i][j];
        return a;
    }
    std::vector<double> norm(std::vector<double> x, float const* w) const {
        double const scale = 1 / std::sqrt(dot(x, x) / static_cast<double>(x.size()) + c.norm_epsilon);
        for (std::size_t j = 0; j < x.size(); ++j) x[j] *= scale * static_cast<double>(w[j]);
        return x;
    }
    rows_of norm(rows_of x, float const* w) const {
        for (auto& row : x) row = norm(row, w);
        return x;
    }
    /// y = W x + s B (A x)
    static rows_of map(auto const& w, rows_of const& x) {
        rows_of y(x.size());
        for (std::size_t i = 0; i < x.size(); ++i) {
            std::vector<double> h;
            for (index_t r = 0; r < w.A.rows; ++r) h.push_back(dot({w.A.row(r), w.A.row(r) + w.A.columns}, x[i]));
            for (index_t o = 0; o < w.W.rows; ++o) {
                y[i].push_back(dot(row_of(w.W, o), x[i]));
                for (index_t r = 0; r < w.A.rows; ++r) y[i].back() += w.s * w.B(o, r) * h[static_cast<std::size_t>(r)];
            }
        }
        return y;
    }
    rows_of rotate(rows_of x, std::vector<std::size_t> const& start) const {
        auto const head = static_cast<std::size_t>(c.head), half = head / 2;
        for (std::size_t i = 0; i < x.size() && rotates; ++i)
            for (std::size_t h = 0; h < x[i].size(); h += head)
                for (std::size_t j = 0; j < half; ++j) {
                    double const angle = static_cast<double>(i - start[i]) *
                                         std::pow(c.rope_base, -2 * static_cast<double>(j) / static_cast<double>(head));
                    double& a = x[i][h + j];
                    double& b = x[i][h + half + j];
                    double const was = a;
                    a = a * std::cos(angle) - b * std::sin(angle), b = b * std::cos(angle) + was * std::sin(angle);
                }
        return x;
    }
    rows_of attend(rows_of const& q, rows_of const& k, rows_of const& v, std::vector<std::size_t> const& start) const {
        auto const head = static_cast<std::size_t>(c.head), group = static_cast<std::size_t>(c.heads / c.kv_heads);
        rows_of o(q.size(), std::vector<double>(q[0].size()));
        for (std::size_t i = 0; i < q.size(); ++i)
            for (std::size_t h = 0; h < static_cast<std::size_t>(c.heads); ++h) {
                std::size_t const at = h * head, kv = h / group * head;
                std::vector<double> p;
                double sum = 0;
                for (std::size_t j = start[i]; j <= i; ++j) {
                    double s = 0;
                    for (std::size_t d = 0; d < head; ++d) s += q[i][at + d] * k[j][kv + d];
                    p.push_back(std::exp(s / std::sqrt(static_cast<double>(head)))), sum += p.back();
                }
                for (std::size_t j = start[i]; j <= i; ++j)
                    for (std::size_t d = 0; d < head; ++d) o[i][at + d] += p[j - start[i]] / sum * v[j][kv + d];
            }
        return o;
    }
    rows_of block(layer_weights<llama<lora>, double> const& layer, rows_of x,
                  std::vector<std::size_t> const& start) const {
        using b = llama<lora>;
        auto const of = [&](auto const& op) -> auto const& {
            return layer.of<std::remove_cvref_t<decltype(op)>>();
        };
        auto const n = norm(x, layer.of<rms_norm_<"input_layernorm">>().w);
        add(x, map(of(b::O), attend(rotate(map(of(b::Q), n), start), rotate(map(of(b::K), n), start), map(of(b::V), n),
                                    start)));
        auto const m = norm(x, layer.of<rms_norm_<"post_attention_layernorm">>().w);
        rows_of a = map(of(b::G), m), u = map(of(b::U), m);
        for (std::size_t i = 0; i < a.size(); ++i)
            for (std::size_t j = 0; j < a[i].size(); ++j) a[i][j] *= u[i][j] / (1 + std::exp(-a[i][j]));
        add(x, map(of(b::D), a));
        return x;
    }
};

}  // namespace graft_test
