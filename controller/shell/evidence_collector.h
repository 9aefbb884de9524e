// Gathers the evidence for one rejoiner and one survivor from their agents. It decides nothing: what to
// read comes from core::ForkSearch, what cannot be had is written into the evidence.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <vector>

#include "controller/core/fork.h"
#include "controller/core/lender.h"
#include "controller/shell/agent_client.h"
#include "policies/model/evidence.h"
#include "policies/model/policy.h"
#include "policies/model/report.h"

namespace walstitch::shell {

struct LenderRequest {
  AgentClient client;
  core::LenderOffer offer;
};

struct EvidenceRequest {
  AgentClient rejoiner;
  Report rejoiner_report;
  AgentClient survivor;
  Report survivor_report;
  core::KnownHistory known;
  // Ranges longer than the policy's limits are not listed: the limit decides, and nobody waits for it.
  PolicyLimits limits;
  std::vector<LenderRequest> lenders{};  // in the order in which they are asked, where that is needed
  std::string no_lenders{};              // why there are none
};

boost::asio::awaitable<Evidence> CollectEvidence(EvidenceRequest request);

}  // namespace walstitch::shell
