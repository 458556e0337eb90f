// SPDX-License-Identifier: Apache-2.0
// The types that programs name, declared: for headers that only pass them on.            (layer 0: base)
#pragma once

#include <graft/base/index.hpp>

namespace graft {

// base, shape, memory, tensor, quant
enum class fault : unsigned char;
enum class cause : unsigned char;
struct error;
struct problem;
template <class T> class result;
struct extent;
template <class N> struct transformer;
struct workers;
struct buffer;
class arena;
template <class T> struct matrix;
enum class weight_type : unsigned char;
struct format;
struct weight;

// expression, rule, program
template <class Kind> struct rule;
template <class Sizes, std::size_t N, std::size_t S> struct program;
template <std::size_t N, std::size_t S> struct schedule;
template <class Block, class T> struct machine;
template <class Block, class T> struct layer_weights;

// strategy, optimizer, block, train
struct full;
struct mesp;
struct inference;
struct adamw;
struct sgd;
struct rate_schedule;
enum class architecture : unsigned char;
struct model_config;
struct batch;
template <class Block, class T> struct model;
struct training_memory;
struct update_report;
struct sampler;
template <class Block, class T> class generator;

// parallel, text, io
class thread_pool;
struct tokenizer_data;
class tokenizer;
class chat_format;
struct training_example;
struct dataset;
struct stored_tensor;
struct model_file;
struct lora_pair;
struct adapter;
struct checkpoint;

}  // namespace graft
