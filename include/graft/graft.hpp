// SPDX-License-Identifier: Apache-2.0
// The library without files, text and threads: layers 0 to 13. What most programs include; needs xsimd only.
#pragma once

#include <graft/base/result.hpp>
#include <graft/quant/encode.hpp>
#include <graft/quant/formats.hpp>
#include <graft/quant/reference.hpp>
#include <graft/strategy/full.hpp>
#include <graft/strategy/mesp.hpp>
#include <graft/optimizer/adamw.hpp>
#include <graft/optimizer/schedule.hpp>
#include <graft/optimizer/sgd.hpp>
#include <graft/block/llama.hpp>
#include <graft/block/qwen2.hpp>
#include <graft/block/shapes.hpp>
#include <graft/train/generator.hpp>
#include <graft/train/sampler.hpp>
#include <graft/train/trainer.hpp>
