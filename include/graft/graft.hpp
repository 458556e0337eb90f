// SPDX-License-Identifier: Apache-2.0
// The library without files, text and threads: layers 0 to 13. What most programs include; needs xsimd only.
#pragma once

#include <graft/tensor/tensor.hpp>
#include <graft/quant/encode.hpp>
#include <graft/quant/formats.hpp>
#include <graft/quant/reference.hpp>
#include <graft/kernel/packed.hpp>
#include <graft/program/assign.hpp>
#include <graft/program/attention.hpp>
#include <graft/program/losses.hpp>
#include <graft/program/lstm.hpp>
#include <graft/program/prepare_heap.hpp>
#include <graft/program/scatter.hpp>
#include <graft/program/sparse.hpp>
#include <graft/program/triangular.hpp>
#include <graft/optimizer/geometry.hpp>
#include <graft/block/llama.hpp>
#include <graft/block/qwen2.hpp>
#include <graft/block/shapes.hpp>
#include <graft/train/any.hpp>
#include <graft/train/budget.hpp>
#include <graft/train/fit.hpp>
#include <graft/train/generator.hpp>
#include <graft/train/sampler.hpp>
