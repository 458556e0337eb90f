// SPDX-License-Identifier: Apache-2.0
// Tensors: sizes known when compiling or when running, expressions, reductions, windows.
#include <graft/graft.hpp>

#include <cstdio>

using namespace graft;

static void show(char const* title, auto const& x) {
    std::printf("%s\n", title);
    for (index_t i = 0; i < x.size(0); ++i)
        for (index_t j = 0; j < x.size(1); ++j)
            std::printf("%8.2f%s", x(i, j), j + 1 < x.size(1) ? "" : "\n");
}

int main() {
    // Winter, spring, summer, autumn: always four columns, and as many rows as there are places.
    tensor<float, any, 4> celsius{{1.0f, 9.5f, 19.0f, 10.0f},
                                  {6.5f, 12.0f, 24.5f, 16.0f},
                                  {-7.0f, 6.5f, 19.5f, 6.0f}};

    tensor fahrenheit = celsius * 1.8 + 32;  // one loop, no temporary
    show("fahrenheit", fahrenheit);

    tensor average = mean<-1>(celsius, keep);  // over the last axis, which stays: any × 1
    tensor apart = celsius - average;          // and is stretched: any × 4
    show("apart from the place's own average", apart);

    tensor length = norm<-1>(apart, keep);
    apart /= length;                                 // in place
    tensor alike = matmul(apart, transpose(apart));  // the packed product: no transpose is formed
    show("correlation of the places", alike);

    show("spring and autumn", celsius(range(), range(1, 4, 2)));  // a window: no number is copied
    celsius(2, range()) += 1;                                     // and writes through
    tensor warmest = max<0>(celsius);
    std::printf("warmest anywhere:");
    for (float degrees : warmest) std::printf(" %.1f", degrees);
    std::puts("");
}
