#include "tests/bench/sentinel_group.h"

#include <chrono>

#include "tests/support/redis_client.h"

namespace walstitch::bench {
namespace {

using std::chrono::seconds;

}  // namespace

SentinelGroup::SentinelGroup() {
  for (int i = 0; i < 2; ++i) nodes_.push_back(std::make_unique<test::NodeServer>());
}

// Sentinel first: what it would do about the ends of the others is of no interest any more.
SentinelGroup::~SentinelGroup() { sentinel_.Kill(); }

std::string SentinelGroup::Binary() { return test::RedisSentinel::Binary(); }

std::string SentinelGroup::Version() {
  test::RedisClient client = Ask();
  return test::InfoField(client, "server", "redis_version");
}

std::optional<std::string> SentinelGroup::Start() {
  nodes_[1]->SetUpstream(nodes_[0]->port());
  for (const auto& node : nodes_) {
    if (auto error = node->Start()) return error;
  }
  if (!nodes_[1]->WaitInSync(*nodes_[0])) return "the replica does not replicate";
  return sentinel_.Start({{"bench", nodes_[0]->port()}});
}

test::RedisClient SentinelGroup::Ask() const {
  return test::RedisClient(sentinel_.Port(), "127.0.0.1", seconds(2));
}

std::optional<std::string> SentinelGroup::WaitReady(std::size_t master) {
  const std::string master_port = std::to_string(nodes_[master]->port());
  const std::string replica_port = std::to_string(nodes_[1 - master]->port());
  std::string seen;
  const bool is_ready = test::Eventually(seconds(40), [&] {
    test::RedisClient client = Ask();
    const test::Reply state = client("SENTINEL", "MASTER", "bench");
    const test::Reply replicas = client("SENTINEL", "REPLICAS", "bench");
    seen = test::ToString(state) + " " + test::ToString(replicas);
    if (state.Field("port").text != master_port || state.Field("flags").text != "master") return false;
    for (const test::Reply& replica : replicas.items) {
      if (replica.Field("port").text == replica_port && replica.Field("flags").text == "slave" &&
          replica.Field("master-link-status").text == "ok" &&
          replica.Field("role-reported").text == "slave" &&
          replica.Field("master-port").text == master_port) {
        return true;
      }
    }
    return false;
  });
  if (!is_ready) return "Sentinel does not see the group as it is: " + seen;
  return std::nullopt;
}

std::optional<std::string> SentinelGroup::WaitSwitched(std::size_t master) {
  const std::string port = std::to_string(nodes_[master]->port());
  std::string seen;
  const bool is_over = test::Eventually(seconds(40), [&] {
    test::RedisClient client = Ask();
    const test::Reply state = client("SENTINEL", "MASTER", "bench");
    seen = test::ToString(state);
    return state.Field("port").text == port && state.Field("flags").text == "master";
  });
  if (!is_over) return "Sentinel does not end its failover: " + seen;
  return std::nullopt;
}

std::optional<std::string> SentinelGroup::StartAsReplica(std::size_t node) {
  nodes_[node]->SetUpstream(nodes_[1 - node]->port());
  return nodes_[node]->Restart();
}

std::string SentinelGroup::Log() const { return sentinel_.Log(); }

}  // namespace walstitch::bench
