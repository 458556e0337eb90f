// SPDX-License-Identifier: Apache-2.0
// The second file of a program that uses the whole library: a product on two threads, and a file that is not there.
#include GRAFT_HEADER

#include <vector>

bool other_file_agrees() {
    constexpr std::size_t n = 96;
    constexpr graft::index_t panel_bytes = graft::product_panel_bytes<float>;
    struct alignas(64) line {
        std::byte bytes[64];
    };
    std::vector<line> panels(2 * panel_bytes / sizeof(line) + 1);
    graft::thread_pool pool(2);
    graft::workers const two = pool.handle(panels.front().bytes, panel_bytes);

    std::vector<float> a(n * n), b(n * n), c(n * n);
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 7), b[i] = static_cast<float>(i % 5);
    graft::matrix<float> const A(a.data(), n, n), B(b.data(), n, n), C(c.data(), n, n, &two);
    C = A * t(B);
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j) {
            float sum = 0;  // of whole numbers: exact in any order
            for (std::size_t k = 0; k < n; ++k) sum += a[i * n + k] * b[j * n + k];
            if (c[i * n + j] != sum) return false;
        }

    auto const model = graft::open_model("no such file.gguf");
    return !model.ok() && model.error().file == "no such file.gguf";
}
