// What an Event on a pod says of a decision and its outcome, for who looks with `kubectl describe pod` or
// `kubectl get events`. Pure.
#pragma once

#include <optional>
#include <string>

#include "policies/model/decision.h"

namespace walstitch::shell {

struct DecisionEvent {
  std::string pod;  // the node that the decision is about
  bool warning = false;
  std::string reason;   // one word, as Kubernetes wants it: "Promoted", "RejoinedPadded"
  std::string message;  // the outcome's sentence, and how to see the whole record
};

// nullopt: it is about no node, or nothing that a pod's reader cares for.
std::optional<DecisionEvent> EventOf(const DecisionRecord& closed);

}  // namespace walstitch::shell
