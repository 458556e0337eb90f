// SPDX-License-Identifier: Apache-2.0
// What is compiled for every block a model may have: all of the tool's training and answering, once.
#include "session.hpp"

template struct graft::every_block<float>;
