// SPDX-License-Identifier: Apache-2.0
// The whole library, with files, text and threads: layers 0 to 16. Needs xsimd, nlohmann/json and a POSIX system.
#pragma once

#include <graft/fwd.hpp>
#include <graft/graft.hpp>

#include <graft/io/any_model.hpp>
#include <graft/io/merge.hpp>
#include <graft/io/npy.hpp>
#include <graft/io/output_folder.hpp>
