// Whether a node serves what its group stands for, for whoever routes clients to it. Pure.
#pragma once

#include <string>

#include "policies/model/report.h"

namespace walstitch::agent {

struct Readiness {
  bool ready = false;
  std::string sentence;  // why, or why not
};

// Ready: a master that may take writes, or a replica that its master's stream comes to. A node that is
// parked, loading, being padded, spliced or copied is not: it is alive, and that is all. Whether a node that
// follows is held back because its keys are still compared, its agent does not know; the controller does.
Readiness ReadinessOf(const Report& report);

}  // namespace walstitch::agent
