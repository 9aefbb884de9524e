// Decisions for people, to be read from top to bottom at three in the morning: what it was and how it
// ended, what was found, the verdict and why, the keyspaces, the divergent keys, what else it would
// have cost, the steps, the outcome with the server's own counters. Pure: data in, text out.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "controller/cli/colour.h"
#include "controller/cli/group_status.h"
#include "policies/model/decision.h"

namespace walstitch::cli {

struct RenderDecisionOptions {
  std::size_t max_keys = 20;  // divergent keys listed; the rest is counted
  bool planned = false;       // nothing was decided: what would be
};

std::string RenderDecision(const DecisionRecord& record, const RenderDecisionOptions& options = {});

// One line each, in the order given.
std::string RenderDecisionList(const std::vector<DecisionRecord>& records,
                               const Palette& palette = Palette());

// Parts of these, for others: "policy shop (0123456789ab)"; a line for each reason; a row for each keyspace,
// and nothing for none.
std::string NamePolicy(const std::string& name, const std::string& hash);
std::string RenderReasons(const std::vector<Reason>& reasons);
std::string RenderKeyspaceTable(const std::vector<KeyspaceFinding>& keyspaces);

std::string RenderPlan(const GroupPlan& plan);

// "pad [1003, 1005), 2 no-op records", "follow 10.0.0.2:6666 from 1005", ...
std::string DescribeAction(const Action& action);

// "[1001, 1003), 2 records on 1 key, 80 B": user keys only; records of no user key are counted, no more.
std::string DescribeTouched(const Touched& touched);

}  // namespace walstitch::cli
