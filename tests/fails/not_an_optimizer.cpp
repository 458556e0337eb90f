// SPDX-License-Identifier: Apache-2.0
// A type given as optimizer that does not say how much it remembers.
// expects: Optimizer
// expects: forgetful
// expects: state_bytes
#include <graft/optimizer/adamw.hpp>
#include <graft/strategy/mesp.hpp>
#include <graft/train/trainer.hpp>

using namespace graft;

struct forgetful {
    template <class T> void apply(update<T> const& u) const { u.parameters[0] -= u.gradients[0]; }
};

#ifdef RIGHT
training<mesp, adamw> settings;
#else
training<mesp, forgetful> settings;
#endif
