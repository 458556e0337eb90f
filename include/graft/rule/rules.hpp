// SPDX-License-Identifier: Apache-2.0
// All built-in rules.                                                                    (layer 8: rule)
#pragma once

#include <graft/rule/attention.hpp>    // IWYU pragma: export
#include <graft/rule/dora.hpp>         // IWYU pragma: export
#include <graft/rule/elementwise.hpp>  // IWYU pragma: export
#include <graft/rule/linear.hpp>       // IWYU pragma: export
#include <graft/rule/lora.hpp>         // IWYU pragma: export
#include <graft/rule/rms_norm.hpp>     // IWYU pragma: export
#include <graft/rule/rope.hpp>         // IWYU pragma: export
#include <graft/rule/swiglu.hpp>       // IWYU pragma: export
