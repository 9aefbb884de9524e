// A group's status for people. Pure: data in, text out.
#pragma once

#include <string>
#include <vector>

#include "controller/cli/colour.h"
#include "controller/cli/group_status.h"

namespace walstitch::cli {

std::string RenderStatus(const std::vector<GroupStatus>& groups, const Palette& palette = Palette());

}  // namespace walstitch::cli
