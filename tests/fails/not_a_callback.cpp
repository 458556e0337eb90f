// SPDX-License-Identifier: Apache-2.0
// A callback of fit that takes none of the things a run tells.
// expects: a callback of fit takes fit_step const&, fit_evaluation const&, fit_pass const& or fit_save const&
#include <graft/block/llama.hpp>
#include <graft/optimizer/adamw.hpp>
#include <graft/strategy/mesp.hpp>
#include <graft/train/fit.hpp>
#include <graft/train/trainer.hpp>

using namespace graft;

fit_report run(trainer<llama<lora>, mesp, adamw>& trains, batches data) {
#ifdef RIGHT
    return fit(trains, data, {.steps = 10}, [](fit_step const& s) { (void)s.loss; });
#else
    return fit(trains, data, {.steps = 10}, [](double loss) { (void)loss; });
#endif
}
