// SPDX-License-Identifier: Apache-2.0
// A program of another project: one include, one product of two matrices; core.cpp or hosted.cpp includes all again.
#include GRAFT_HEADER

/// What the program's other file computes with the same library is right.
bool other_file_agrees();

int main() {
    float a[] = {1, 2, 3, 4}, b[] = {1, 0, 2, 1}, c[4];
    graft::matrix<float> const A(a, 2, 2), B(b, 2, 2), C(c, 2, 2);
    C = A * t(B);
    return c[0] == 1 && c[1] == 4 && c[2] == 3 && c[3] == 10 && other_file_agrees() ? 0 : 1;
}
