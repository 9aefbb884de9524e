// A group as its status tells of it, and what is asked about it.
#pragma once

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "controller/sentinel/knowledge.h"
#include "controller/sentinel/resp.h"
#include "controller/sentinel/view.h"
#include "policies/model/json.h"

namespace walstitch::sentinel {

struct SampleNode {
  std::string name;
  std::uint16_t port = 0;
  Role role = Role::kReplica;
  std::string place = "replica";  // empty: not known
  bool connected = true;
  bool reported = true;
  bool heard = true;  // its agent was, by whoever gives the status
};

struct SampleGroup {
  std::string name = "shop";
  std::string managed = "managed";
  std::string master = "n1";
  std::string busy;
  std::vector<SampleNode> nodes;
  boost::json::array findings;
  std::string no_failover;  // the code; empty: it would be replaced
};

inline SampleGroup Calm() {
  SampleGroup group;
  group.nodes = {{"n1", 7001, Role::kMaster, "master"}, {"n2", 7002}, {"n3", 7003}};
  return group;
}

// A node of which whoever has just begun to lead knows no more than its name.
inline SampleNode NotHeard(const std::string& name) {
  return {name, 0, Role::kUnknown, "", false, false, false};
}

// As whoever has just begun to lead tells of it.
inline SampleGroup NobodyHeard() {
  SampleGroup group;
  group.nodes = {NotHeard("n1"), NotHeard("n2"), NotHeard("n3")};
  return group;
}

inline boost::json::value StatusOf(const SampleGroup& group) {
  boost::json::array nodes;
  for (const SampleNode& each : group.nodes) {
    boost::json::object node{{"node", each.name}, {"connected", each.connected}};
    if (!each.place.empty()) node["place"] = each.place;
    if (each.heard) node["silent_ms"] = 40;
    if (each.reported) {
      Report report;
      report.node = each.name;
      report.group = group.name;
      report.endpoint = {"10.0.0.1", each.port};
      report.process = ProcessState::kUp;
      report.role = each.role;
      report.last = Sequence(100);
      node["report"] = ToJson(report);
    }
    nodes.push_back(std::move(node));
  }
  boost::json::object status{
      {"group", group.name},      {"managed", group.managed}, {"epoch", 3},
      {"master", group.master},   {"busy", group.busy},       {"findings", group.findings},
      {"nodes", std::move(nodes)}};
  if (!group.no_failover.empty())
    status["no_failover"] = {{"code", group.no_failover}, {"sentence", "why: " + group.no_failover}};
  return status;
}

inline View ViewOf(const std::vector<SampleGroup>& groups, std::int64_t now_ms = 1000,
                   const View* before = nullptr) {
  boost::json::array list;
  for (const SampleGroup& group : groups) list.push_back(StatusOf(group));
  auto view = ReadStatus(boost::json::object{{"groups", std::move(list)}}, now_ms);
  EXPECT_TRUE(view) << view.error().Message();
  AwaitReports(before, &*view);
  CarryOver(before, &*view);
  return *view;
}

inline Knowledge Knowing(const View& view, std::int64_t now_ms = 1500) {
  Knowledge knowledge;
  knowledge.view = &view;
  knowledge.id = std::string(40, 'a');
  knowledge.announced = {"10.0.0.9", 26379};
  knowledge.now_ms = now_ms;
  return knowledge;
}

// The value of a field of a reply that is a list of names and values; empty: there is none.
inline std::string FieldOf(const Reply& reply, const std::string& name) {
  for (std::size_t i = 0; i + 1 < reply.items.size(); i += 2) {
    if (reply.items[i].text == name) return reply.items[i + 1].text;
  }
  return "";
}

}  // namespace walstitch::sentinel
