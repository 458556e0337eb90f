// SPDX-License-Identifier: Apache-2.0
#include <graft/program/machine.hpp>

#include <tests/support/bench_top.hpp>

#include <doctest/doctest.h>

using namespace graft;
using namespace graft_test;

namespace {

struct block {
    using sizes = transformer_sizes;
    static constexpr stream<width> x{};
    static constexpr frozen<"up", hidden, width> U{};
    static constexpr frozen<"gate", hidden, width> G{};
    static constexpr frozen<"down", width, hidden> D{};
    static constexpr auto m = rms_norm<"norm">(x);
    static constexpr auto equations = residual(D(silu(G(m)) * U(m)));
};

}  // namespace

TEST_CASE("machine: a stage by tiles is the stage at once, bit for bit, and stays inside its scratch") {
    bench_top<block> whole(mesp{});
    whole.pull();
    for (index_t tile : {1, 2, 4, 9, 20}) {
        bench_top<block> tiled(mesp{tile});
        index_t reached = 0;
        auto place = tiled.place();
        place.reached = &reached;
        machine<block, double>::forward(place);
        tiled.gradient = tiled.cotangent;
        machine<block, double>::backward(place);
        CHECK(tiled.exit == whole.exit);
        CHECK(tiled.gradient == whole.gradient);
        CHECK(reached == tiled.plan.scratch_bytes);
        CHECK((tile >= 9 || tiled.plan.scratch_bytes < whole.plan.scratch_bytes));
    }
}

TEST_CASE("machine: a batch of fewer rows than planned leaves the others alone") {
    bench_top<block> all(mesp{}), few(mesp{});
    all.pull();
    few.gradient = few.cotangent;
    std::fill(few.exit.begin(), few.exit.end(), 77.0);
    auto place = few.place();
    place.rows = 4;
    machine<block, double>::forward(place);
    machine<block, double>::backward(place);
    for (std::size_t i = 0; i < few.exit.size(); ++i) {
        bool const inside = i < 4 * 12;
        CHECK(few.exit[i] == (inside ? all.exit[i] : 77.0));
        CHECK(few.gradient[i] == (inside ? all.gradient[i] : few.cotangent[i]));
    }
}

TEST_CASE("machine: weights are found by their operation") {
    layer_weights<block, float> w;
    float const ones[1]{};
    w.of<rms_norm_<"norm">>().w = ones;
    int count = 0;
    w.visit([&](auto op, auto const& x) {
        ++count;
        if constexpr (std::is_same_v<decltype(op), rms_norm_<"norm">>) CHECK(x.w == ones);
    });
    CHECK(count == 5);
}
