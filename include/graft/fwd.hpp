// SPDX-License-Identifier: Apache-2.0
// The types that programs name, declared: for headers that only pass them on.            (layer 0: base)
#pragma once

#include <graft/shape/extent.hpp>

namespace graft {

// base, shape, memory, tensor, quant
enum class fault : unsigned char;
enum class cause : unsigned char;
struct error;
struct problem;
template <class T> class result;
template <class D> struct shape;
template <class N> struct transformer;
struct workers;
class step_profile;
struct buffer;
class arena;
struct memory_visitor;
template <class T> struct matrix;
template <class T, extent... E> struct view;
template <class T> struct in_place;
template <class T> struct in_arena;
template <class T> struct on_heap;
template <class Policy, extent... E> class tensor;
template <class Op, class... Args> struct lazy;
enum class weight_type : unsigned char;
struct format;
struct weight;

// expression, rule, program
template <class Kind> struct rule;
template <class Sizes, std::size_t N, std::size_t S> struct program;
template <std::size_t N, std::size_t S> struct schedule;
template <class Block, class T> struct machine;
template <class Block, class T> struct layer_weights;
struct term;
struct graph_builder;
template <class Source> struct function_of;
template <class F, class T> class running;
template <class F, class T> class prepared;

// strategy, optimizer, block, train
struct full;
struct checkpoint;
struct mesp;
struct mesp_published;
struct rematerialised;
struct zeroth_order;
struct inference;
struct adamw;
struct sgd;
struct rate_schedule;
enum class architecture : unsigned char;
struct model_config;
struct batch;
template <class Block, class T> struct model;
struct training_memory;
struct budgeted;
struct update_report;
struct sampler;
template <class Block, class T> class generator;
class any_strategy;
class any_optimizer;
struct fit_settings;
struct fit_progress;
struct fit_step;
struct fit_evaluation;
struct fit_report;

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
struct stored_checkpoint;
class mapped_memory;
struct residency_plan;
class weight_residency;
class packed_data;
class tuner_core;
template <class Core> class basic_tuner;
class any_generator;
class any_model;

}  // namespace graft
