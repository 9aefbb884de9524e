// The end of the demo: what every scene came to, against the full sync of the same run. Pure text.
#pragma once

#include <string>
#include <vector>

#include "tests/demo/stage.h"

namespace walstitch::demo {

std::string Summarize(const std::vector<Rejoined>& scenes);

}  // namespace walstitch::demo
