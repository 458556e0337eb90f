// SPDX-License-Identifier: Apache-2.0
// Everything a microcontroller can use: layers 0 to 13 on scalar packs, no operating system, no heap, no exceptions.
#pragma once

#ifndef GRAFT_FIRMWARE
#    define GRAFT_FIRMWARE 1
#endif
#include <graft/base/config.hpp>
#if GRAFT_SIMD
#    error "graft/firmware.hpp comes after a graft header that chose SIMD: include it first, or include graft/graft.hpp"
#endif

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
