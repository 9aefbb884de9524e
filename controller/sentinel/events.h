// What subscribers are told, in Sentinel's words: what has changed from one view to the next. Pure.
//
// | channel                     | when                                                                      |
// |-----------------------------|---------------------------------------------------------------------------|
// | +switch-master              | writes may be sent to a master, and not where was told last               |
// | +failover-end               | just before it                                                            |
// | +sdown, +odown of a master  | it is not known any more to be one that takes writes                      |
// | -sdown, -odown of a master  | it is again                                                               |
// | +try-failover               | its replacement has begun, ordered or not                                 |
// | +sdown, -sdown of a replica | it is in service no more, or again                                        |
// | +slave                      | a replica is new, or another master's                                     |
// | +role-change, -role-change  | a node's server has become a replica, or a master while it should be none |
// | +monitor, -monitor          | a group is new, or is not there any more                                  |
//
// So whoever only listens knows the same master as whoever asks, whatever was seen in between.
#pragma once

#include <string>
#include <vector>

#include "controller/sentinel/view.h"

namespace walstitch::sentinel {

struct Event {
  std::string channel;
  std::string payload;
  bool operator==(const Event&) const = default;
};

// In the order in which they are told. Both views after CarryOver, `now` over `before`.
std::vector<Event> EventsBetween(const View& before, const View& now);

}  // namespace walstitch::sentinel
