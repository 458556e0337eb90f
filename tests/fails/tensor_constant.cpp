// SPDX-License-Identifier: Apache-2.0
// A view of constant numbers as a destination.
// expects (g++): use of deleted function
// expects (clang++): overload resolution selected deleted operator '='
// shows: x = y + z
#include <graft/graft.hpp>

using namespace graft;

void use(view<float, any> y, view<float const, any> x, tensor<float, any> const& z) {
#ifdef RIGHT
    y = x + z;
#else
    x = y + z;
#endif
}
