// SPDX-License-Identifier: Apache-2.0
// A program of another project: one include, one product of two matrices.
#include <graft/tensor/matrix.hpp>

int main() {
    float numbers[] = {1, 2, 3, 4};
    graft::matrix<float> const m(numbers, 2, 2);
    return rows(t(m)) == 2 && m(1, 0) == 3.0f ? 0 : 1;
}
