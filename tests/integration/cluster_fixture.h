// What the tests of a whole cluster share: one cluster a test, the processes' logs when it fails, and the
// comparisons that every divergence ends with.
#pragma once

#include <gtest/gtest.h>

#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "policies/model/json.h"
#include "policies/model/reason_codes.h"
#include "tests/support/api_description.h"
#include "tests/support/cluster.h"
#include "tests/support/keyspace.h"

namespace walstitch::test {

class ClusterTest : public ::testing::Test {
 protected:
  void TearDown() override {
    if (HasFailure() && cluster_)
      std::cerr << Dump(cluster_->Status()) << "\n" << cluster_->Logs() << std::flush;
  }

  // Without starting it.
  void MakeCluster(ClusterOptions options) { cluster_ = std::make_unique<Cluster>(std::move(options)); }

  // Use with ASSERT_NO_FATAL_FAILURE.
  void StartCluster(ClusterOptions options = {}) {
    MakeCluster(std::move(options));
    const auto error = cluster_->Start();
    ASSERT_FALSE(error) << *error;
    CheckAnswers();
  }

  // From here on, whatever the programs answer must be as they describe it themselves.
  void CheckAnswers() {
    const HttpAnswer controller = cluster_->CallController("GET", "/openapi.json");
    const HttpAnswer agent = cluster_->CallAgent(cluster_->Nodes().front(), "GET", "/openapi.json");
    ASSERT_EQ(200, controller.status) << controller.body;
    ASSERT_EQ(200, agent.status) << agent.body;
    descriptions_.clear();
    descriptions_.emplace("controller", controller.body);
    descriptions_.emplace("agent", agent.body);
    cluster_->SetWitness([this](const std::string& program, const std::string& method,
                                const std::string& target, const HttpAnswer& answer) {
      if (answer.status == 0) return;
      const ApiDescription& description = descriptions_.at(program);
      for (auto& problem : description.ProblemsOfAnswer(method, target, answer.status, answer.body)) {
        // A test asks for the status again and again.
        if (!told_.insert(problem).second) continue;
        ADD_FAILURE() << "not as the " << program << "'s /openapi.json says: " << problem;
      }
    });
  }
  const ApiDescription& DescriptionOf(const std::string& program) const { return descriptions_.at(program); }

  Cluster& cluster() { return *cluster_; }

  // n1 dies with a tail that n2 never saw; n2 is promoted and goes on.
  void Diverge(const Cluster::Writer& tail, const Cluster::Writer& missed) {
    const auto error = cluster_->Diverge("n2", tail, missed);
    ASSERT_FALSE(error) << *error;
  }

  // Starts n1 again and waits until it is back in service; the record of its rejoin.
  DecisionRecord Rejoin(const std::string& node = "n1") {
    const auto error = cluster_->RestartNode(node);
    EXPECT_FALSE(error) << *error;
    EXPECT_TRUE(cluster_->WaitSettled()) << node << " is not back: " << cluster_->Condition(node);
    const auto record = cluster_->LastRejoin(node);
    if (!record) throw std::runtime_error("nothing was decided and done for " + node);
    return *record;
  }

  // The keys that tail or missed touch, as DumpKeyspace names them.
  static std::set<std::string> DivergentKeys(const DecisionRecord& record) {
    std::set<std::string> keys;
    const auto add = [&](const std::optional<Touched>& touched) {
      if (!touched) return;
      EXPECT_FALSE(touched->truncated);
      for (const TouchedKey& key : touched->keys) {
        if (key.internal.empty()) keys.insert(key.name_space + ":" + key.key);
      }
    };
    if (record.decision.evidence) {
      add(record.decision.evidence->tail);
      add(record.decision.evidence->missed);
    }
    return keys;
  }

  // The keys on which the two nodes differ, over the whole keyspace.
  std::set<std::string> DifferingKeys(const std::string& left, const std::string& right) {
    return KeysThatDiffer(cluster_->Keyspace(left), cluster_->Keyspace(right));
  }

  static Verdict VerdictOf(const DecisionRecord& record) {
    return record.decision.verdict ? record.decision.verdict->verdict : Verdict::kHold;
  }

  // Of a role switch, a refusal and so on; see HasReason for verdicts.
  static bool HasReasonCode(const DecisionRecord& record, std::string_view code) {
    for (const Reason& reason : record.decision.reasons) {
      if (reason.code == code) return true;
    }
    return false;
  }

  static bool HasReason(const DecisionRecord& record, std::string_view code) {
    if (!record.decision.verdict) return false;
    for (const Reason& reason : record.decision.verdict->reasons) {
      if (reason.code == code) return true;
    }
    return false;
  }

 private:
  std::map<std::string, ApiDescription> descriptions_;
  std::set<std::string> told_;
  std::unique_ptr<Cluster> cluster_;
};

// One batch of `count` records.
inline void WriteBatch(RedisClient& client, size_t count, const std::string& prefix) {
  std::vector<std::string> command = {"MSET"};
  for (size_t i = 0; i < count; ++i) {
    command.push_back(prefix + std::to_string(i));
    command.push_back("value of " + prefix + std::to_string(i));
  }
  const Reply reply = client.Command(command);
  EXPECT_TRUE(reply.IsOk()) << reply;
}

// `count` batches of one record each.
inline void WriteSingles(RedisClient& client, size_t count, const std::string& prefix) {
  for (size_t i = 0; i < count; ++i) {
    const Reply reply = client("SET", prefix + std::to_string(i), "single");
    EXPECT_TRUE(reply.IsOk()) << reply;
  }
}

}  // namespace walstitch::test
