// SPDX-License-Identifier: Apache-2.0
// A callback of fit whose answer could mean anything.
// expects: a callback of fit returns nothing, or a graft::verdict
#include <graft/block/llama.hpp>
#include <graft/optimizer/adamw.hpp>
#include <graft/strategy/mesp.hpp>
#include <graft/train/fit.hpp>
#include <graft/train/trainer.hpp>

using namespace graft;

fit_report run(trainer<llama<lora>, mesp, adamw>& trains, batches data) {
    auto const low = [](fit_evaluation const& e) { return e.loss < 1; };
#ifdef RIGHT
    return fit(trains, data, {.steps = 10},
               [&](fit_evaluation const& e) { return low(e) ? verdict::stop : verdict::go_on; });
#else
    return fit(trains, data, {.steps = 10}, low);
#endif
}
