// SPDX-License-Identifier: Apache-2.0
// How problems quote a name from a file.                                                 (layer 16: io)
#pragma once

#include <graft/text/utf8.hpp>

#include <string>
#include <string_view>

namespace graft {

/// `'name'`, fit for a terminal and cut where it is long.
inline std::string in_quotes(std::string_view name) { return "'" + printable(name) + "'"; }

}  // namespace graft
